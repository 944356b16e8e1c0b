"""Opens the source that the recipe names, in the format that it names."""

from __future__ import annotations

from pathlib import Path

from pipeline.data.snapshots import snapshot
from pipeline.data.source_rows import NothingThere, Source
from pipeline.errors import DataError, RatchetError, StorageError
from pipeline.recipe.recipe import SOURCE
from pipeline.recipe.slots import Choice


def open_source(choice: Choice, path: Path, classes: tuple[str, ...], as_of: str | None = None) -> Source:
    """Open the source at `path` in a format, as it was at the end of a date (`None`: as it is now).

    Labels are delivered as indices into `classes`. A format that declares `READS_A_FILE` is given a file as well as a
    folder. Raises UsageError for an unknown format, or for a date if the source keeps no snapshots; StorageError if the
    folder is missing or unreadable; DataError if its files violate the format or no snapshot is old enough.
    """
    settings = SOURCE.settings(choice, "data.source")
    member = SOURCE.member(choice.name)
    reads_a_file = getattr(member, "READS_A_FILE", False)
    if not path.is_dir() and not (reads_a_file and path.is_file()):
        what = "is not a folder" if path.exists() else "does not exist"
        raise StorageError(
            f"{path}: the source folder {what}; set data.path in params.yaml to the folder that holds it"
            + ("" if path.is_dir() or not path.is_file() else instead(path, choice.name))
        )
    try:
        opened: Source = member.open_source(settings, snapshot(path, as_of), classes)
    except NothingThere as error:
        raise DataError(f"{error}{instead(path, choice.name)}") from error
    return opened


def instead(path: Path, name: str) -> str:
    """Return the advice to name another format, if what stands at a path is of one."""
    others = [other for other in recognised(path) if other != name]
    return f"; it looks like data.source: {others[0]}" if others else ""


def recognised(path: Path) -> dict[str, dict[str, object]]:
    """Return the formats that what stands at a path is of, by their names, each with the settings that read it."""
    found = {}
    for name in sorted(SOURCE.names()):
        try:
            settings = getattr(SOURCE.member(name), "recognise", lambda _: None)(path)
        except (RatchetError, OSError):
            continue  # whatever it is, this format cannot say
        if settings is not None:
            found[name] = settings
    return found
