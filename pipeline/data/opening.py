"""Opens the source that the recipe names, in the format that it names."""

from __future__ import annotations

from pathlib import Path

from pipeline.data.snapshots import snapshot
from pipeline.data.source_rows import Source
from pipeline.errors import StorageError
from pipeline.recipe.recipe import SOURCE
from pipeline.recipe.slots import Choice


def open_source(choice: Choice, path: Path, as_of: str | None = None) -> Source:
    """Open the source at `path` in a format, as it was at the end of a date (`None`: as it is now).

    Raises UsageError for an unknown format, or for a date if the source keeps no snapshots; StorageError if the folder
    is missing or unreadable; DataError if its files violate the format or no snapshot is old enough.
    """
    settings = SOURCE.settings(choice, "data.source")
    if not path.is_dir():
        what = "is not a folder" if path.exists() else "does not exist"
        raise StorageError(
            f"{path}: the source folder {what}; set data.path in params.yaml to the folder that holds it"
        )
    opened: Source = SOURCE.member(choice.name).open_source(settings, snapshot(path, as_of))
    return opened
