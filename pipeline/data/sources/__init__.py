"""Where raw rows come from: one file per format, found by the recipe's `data.source`.

To add a format, write a module with `open_source(folder: Path) -> Source` and name it in `_FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.data.sources import idx
from pipeline.data.sources.rows import Source
from pipeline.data.sources.snapshots import snapshot
from pipeline.errors import StorageError, UsageError, nearest

_FORMATS: dict[str, Callable[[Path], Source]] = {"idx": idx.open_source}


def open_source(name: str, path: Path, as_of: str | None = None) -> Source:
    """Open the source at `path` in the named format, as it was at the end of a date (`None`: as it is now).

    Raises UsageError for an unknown format, or for a date if the source keeps no snapshots; StorageError if the folder
    is missing or unreadable; DataError if its files violate the format or no snapshot is old enough.
    """
    if name not in _FORMATS:
        raise UsageError(f"data.source: unknown format '{name}'{nearest(name, _FORMATS)}")
    if not path.is_dir():
        what = "is not a folder" if path.exists() else "does not exist"
        raise StorageError(
            f"{path}: the source folder {what}; set data.path in params.yaml to the folder that holds it"
        )
    return _FORMATS[name](snapshot(path, as_of))
