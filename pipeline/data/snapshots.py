"""Sources that keep dated snapshots: subfolders named by date (`2026-11-22`), each a whole source of its format.

A class, or a day's photographs, may be called like that, too: `ingest.snapshots: false` says so.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date
from pathlib import Path

from pipeline.errors import DataError, StorageError, UsageError

_NAME = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def dates(path: Path) -> list[date]:
    """Return the dates for which a source folder has a snapshot, oldest first; empty if it keeps none.

    Whatever else lies there is left alone, readable or not.
    """
    if not path.is_dir():
        return []
    try:
        return sorted(_date(entry.name) for entry in path.iterdir() if _NAME.fullmatch(entry.name) and entry.is_dir())
    except ValueError as error:
        raise DataError(
            f"{path}: a folder is named like a date and is none: {error}; rename it, or set ingest.snapshots: false if "
            "folders of this kind are no snapshots"
        ) from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error


def snapshot(path: Path, as_of: str | None, classes: Collection[str] = ()) -> Path:
    """Return the folder that holds the source as of the end of a date (`None`: the newest).

    Raises UsageError if a date is given but the source keeps no snapshots, or if a snapshot is called as one of the
    declared classes is; DataError if none is that old.
    """
    kept = dates(path)
    if both := [day.isoformat() for day in kept if day.isoformat() in classes]:
        raise UsageError(
            f"data.classes: '{both[0]}' is a class, and {path}/{both[0]} would be read as a dated snapshot; set "
            "ingest.snapshots: false if the folders that are named by date are classes"
        )
    if not kept:
        if as_of is not None:
            raise UsageError(
                f"ingest.as_of: {path} has no snapshots (folders named like {as_of}), so it cannot say what it held "
                "then; set it to null"
            )
        return path
    chosen = [day for day in kept if as_of is None or day <= _date(as_of)]
    if not chosen:
        raise DataError(f"ingest.as_of: {path} holds nothing as old as {as_of}; its first snapshot is {kept[0]}")
    return path / chosen[-1].isoformat()


def _date(text: str) -> date:
    return date.fromisoformat(text)
