"""A bug as one line, its traceback as a file."""

from __future__ import annotations

import traceback
from pathlib import Path

BUG_EXIT_CODE = 70
_TRACEBACK_FILE = Path(".ratchet") / "traceback.txt"


def as_bug(error: BaseException) -> str:
    """Return the line for an unexpected exception, and write its traceback to the file that the line names."""
    text = " ".join(f"bug: {type(error).__name__}: {error}".split())
    try:
        _TRACEBACK_FILE.parent.mkdir(exist_ok=True)
        _TRACEBACK_FILE.write_text(traceback.format_exc())
    except OSError:
        return f"{text}; run again with --debug to see where"
    return f"{text}; where: {_TRACEBACK_FILE}"
