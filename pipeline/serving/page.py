"""The page to try a model in a browser: one file, which loads nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from starlette.responses import HTMLResponse

_FILE = Path(__file__).with_name("page.html")


def page() -> HTMLResponse:
    """Return the page, with a policy that lets it run its own script and ask this service, nothing else."""
    text, policy = _content()
    return HTMLResponse(text, headers={"content-security-policy": policy, "referrer-policy": "no-referrer"})


@cache
def _content() -> tuple[str, str]:
    text = _FILE.read_text(encoding="utf-8")
    script, style = (_hash(re.search(rf"<{tag}>(.*?)</{tag}>", text, re.S)) for tag in ("script", "style"))
    return text, (
        f"default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; img-src blob: data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hash(match: re.Match[str] | None) -> str:
    assert match is not None
    return "sha256-" + base64.b64encode(hashlib.sha256(match[1].encode()).digest()).decode()
