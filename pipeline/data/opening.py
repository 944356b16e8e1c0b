"""Opens the source that the recipe names, in the format that it names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.data.snapshots import snapshot
from pipeline.data.source_rows import NothingThere, Source
from pipeline.data.wanted import Wanted
from pipeline.errors import DataError, RatchetError, StorageError, UsageError
from pipeline.recipe.recipe import SOURCE, IngestParams
from pipeline.recipe.slots import Choice
from pipeline.records.manifest import TARGET

_AS_IT_IS = IngestParams()


def open_source(choice: Choice, path: Path, wanted: Wanted, ingest: IngestParams = _AS_IT_IS) -> Source:
    """Open the source at `path` in a format, as it was at the end of a date if it keeps snapshots.

    Labels are delivered as indices into the wanted classes. A format that declares `READS_A_FILE` is given a file as
    well as a folder. Raises UsageError for an unknown format, or for a date if the source keeps no snapshots;
    StorageError if the folder is missing or unreadable; DataError if its files violate the format or no snapshot is old
    enough.
    """
    settings = SOURCE.settings(choice, "data.source")
    member = SOURCE.member(choice.name)
    if getattr(member, "TAKES_AS_OF", False):  # as a database does: it keeps no snapshots, and is asked for that day
        ingest = ingest.model_copy(update={"as_of": None})
    if not path.is_dir() and not (reads_a_file(choice) and path.is_file()):
        what = "is not a folder" if path.exists() else "does not exist"
        raise StorageError(
            f"{path}: the source folder {what}; set data.path in params.yaml to the folder that holds it"
            f"{instead(path, choice.name)}"
        )
    folder = _folder(path, wanted.classes, ingest)
    try:
        opened: Source = member.open_source(settings, folder, wanted)
    except NothingThere as error:
        is_dated = "; it is read as a dated snapshot: ingest.snapshots: false if it is none" if folder != path else ""
        raise DataError(f"{error}{is_dated or instead(path, choice.name)}") from error
    return opened


def _folder(path: Path, classes: tuple[str, ...], ingest: IngestParams) -> Path:
    if ingest.snapshots:
        return snapshot(path, ingest.as_of, classes)
    if ingest.as_of is not None:
        raise UsageError(
            "ingest.as_of: needs a source with dated snapshots, and ingest.snapshots is false; set it to null"
        )
    return path


def reads_a_file(choice: Choice) -> bool:
    """Return whether a format reads a file as well as a folder."""
    return bool(getattr(SOURCE.member(choice.name), "READS_A_FILE", False))


def predicted(choice: Choice) -> dict[str, dict[str, Any]]:
    """Return what is predicted, as manifests have it under `target`: of sources whose settings tell (`predicted`)."""
    column = getattr(SOURCE.settings(choice, "data.source"), "predicted", None)
    return {} if column is None else {TARGET: column}


def instead(path: Path, name: str) -> str:
    """Return the advice to name another format, if what stands at a path is of one."""
    others = [other for other in recognised(path) if other != name]
    return f"; it looks like data.source: {others[0]}" if others else ""


def by_hand(path: Path, names: Iterable[str]) -> str | None:
    """Return what a person is to write for what stands at a path, of the first of these formats that can say it."""
    for name in names:
        try:
            said: str | None = getattr(SOURCE.member(name), "by_hand", lambda _: None)(path)
        except OSError:
            continue  # what cannot be looked at is for whoever opens it to say
        if said is not None:
            return said
    return None


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
