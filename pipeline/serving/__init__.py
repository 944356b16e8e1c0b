"""The service: it serves a folder that `export/` has written, over HTTP, and follows the champion."""
