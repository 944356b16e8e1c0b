"""A bug as one line, its traceback as a file."""

from __future__ import annotations

import os
import traceback

from pipeline.errors import without_secrets
from pipeline.runtime.evidence import evidence_folder

BUG_EXIT_CODE = 70


def as_bug(error: BaseException) -> str:
    """Return the line for an unexpected exception, and write its traceback to the file that the line names."""
    text = without_secrets(" ".join(f"bug: {type(error).__name__}: {error}".split()))
    stage = os.environ.get("DVC_STAGE", "").rpartition(":")[2]  # several may fail at once, and share the folder
    path = evidence_folder() / (f"{stage}.traceback.txt" if stage else "traceback.txt")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback_text(), "utf-8", "backslashreplace")  # file names need not be UTF-8
    except OSError:
        return f"{text}; run again with --debug to see where"
    return f"{text}; where: {path}"


def traceback_text() -> str:
    """Return the traceback of the exception that is being handled, without secrets."""
    return without_secrets(traceback.format_exc())
