"""Where a process puts what is to be read after a failure: a line that says "see FILE" names one that lasts."""

from __future__ import annotations

import os
from pathlib import Path

EVIDENCE_VARIABLE = "RATCHET_EVIDENCE"  # set by whoever starts a stage: a folder that outlives the stage's workspace
_OWN = Path(".ratchet")


def evidence_folder() -> Path:
    """Return the absolute path of the folder for logs and tracebacks: what the variable says, else `.ratchet` here."""
    return Path(os.environ.get(EVIDENCE_VARIABLE) or _OWN).absolute()
