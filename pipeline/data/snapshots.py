"""Sources that keep dated snapshots: subfolders named by date (`2026-11-22`), each a whole source of its format."""

from __future__ import annotations

import re
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
        raise DataError(f"{path}: a folder is named like a date and is none: {error}") from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error


def snapshot(path: Path, as_of: str | None) -> Path:
    """Return the folder that holds the source as of the end of a date (`None`: the newest).

    Raises UsageError if a date is given but the source keeps no snapshots, DataError if none is that old.
    """
    kept = dates(path)
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
