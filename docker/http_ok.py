#!/usr/bin/python3.11
"""Leave with 0 if a page answers, for health checks: curl would be one more package in every image.

http-ok URL [TEXT]      the page must answer with success, and hold the text
"""

import sys
import urllib.request

with urllib.request.urlopen(sys.argv[1], timeout=8) as answer:  # noqa: S310  the address stands in compose.yaml
    page = answer.read().decode(errors="replace")
sys.exit(0 if all(text in page for text in sys.argv[2:]) else 1)
