"""Formats of sources, one file each: `Settings`, `FEATURES` (what it delivers) and `open_source(settings, folder, classes)`."""
