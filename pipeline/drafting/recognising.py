"""Which source reads what is at a path: every source is asked, and no list is kept of them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pipeline.data.opening import recognised
from pipeline.errors import DataError, StorageError, UsageError
from pipeline.recipe.recipe import SOURCE
from pipeline.recipe.slots import Choice


class Recognised(NamedTuple):
    """The source that is to read the path, and the names of the others that could."""

    choice: Choice
    others: tuple[str, ...] = ()


def recognise(path: Path, name: str | None = None) -> Recognised:
    """Return the source that reads what is at a path: the one of that name, or the first by name that recognises it.

    Raises StorageError if nothing is there, UsageError if there is no source of that name, DataError if none does.
    """
    if not path.exists():
        raise StorageError(f"{path}: does not exist; name the folder or the archive that holds the data")
    if name is not None and name not in SOURCE.names():
        try:
            SOURCE.file(name)
        except UsageError as error:
            raise UsageError(f"--source: {error}") from error
    claims = recognised(path)
    if name is not None:
        return Recognised(Choice(name=name, settings=dict(claims.get(name, {}))))
    if not claims:
        raise DataError(
            f"{path}: no source recognises what is there (there are {', '.join(SOURCE.names())}); name the folder that "
            "holds the data itself, or the source: --source NAME"
        )
    first, *others = claims
    return Recognised(Choice(name=first, settings=dict(claims[first])), tuple(others))
