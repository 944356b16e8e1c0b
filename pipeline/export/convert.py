"""Writes one form of a stored model: `python -m pipeline.export.convert FORMAT MODEL TARGET SETTINGS [CALIBRATION]`.

In a process of its own, since converters print much and some end the process. SETTINGS is JSON; CALIBRATION is a folder
of raw training rows by feature.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pipeline.errors import RatchetError
from pipeline.export.column_files import read_columns
from pipeline.export.forms import FORMAT
from pipeline.runtime import processes
from pipeline.runtime.imports import report_imports


def main(name: str, model_folder: str, target: str, settings: str, calibration: str = "") -> None:
    """Write it; what the format refuses ends the process, in one line."""
    member = FORMAT.member(name)
    rows = read_columns(Path(calibration)) if calibration else None
    try:
        member.write(Path(model_folder), Path(target), member.Settings(**json.loads(settings)), rows)
    except RatchetError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    report_imports()
    main(*sys.argv[1:])
    processes.leave(0)
