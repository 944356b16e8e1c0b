"""Which source reads what is at a path: every source is asked, and no list is kept of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.data.opening import by_hand, recognised
from pipeline.data.snapshots import snapshot
from pipeline.errors import DataError, UsageError
from pipeline.recipe.recipe import SOURCE
from pipeline.recipe.slots import Choice


class Recognised(NamedTuple):
    """The source that is to read the path, and the names of the others that could.

    `snapshot` is the folder that is read, where the path keeps dated snapshots.
    """

    choice: Choice
    others: tuple[str, ...] = ()
    snapshot: Path | None = None


def recognise(path: Path, name: str | None = None, settings: Mapping[str, Any] | None = None) -> Recognised:
    """Return the source that reads what is at a path: the one of that name, or the first by name that recognises it.

    Folders that are named by date are snapshots if the newest is something that can be read, and part of the data
    otherwise. Its settings are those with which it recognises the path, and over them those that are given. Raises
    UsageError if there is no source of that name, DataError if none recognises what is there.
    """
    if name is not None and name not in SOURCE.names():
        try:
            SOURCE.file(name)
        except UsageError as error:
            raise UsageError(f"--source: {error}") from error
    there = snapshot(path, None)
    newest, claims = (None if there == path else there), recognised(there)
    if newest and (name not in claims if name else not claims):
        newest, claims = None, recognised(path)
    if name is not None:
        if claims.get(name) is None and (written := by_hand(path, [name])):
            raise DataError(f"{path}: {written}")
        return Recognised(_choice(name, claims.get(name, {}), settings), (), newest)
    if not claims and (written := by_hand(path, SOURCE.names())):
        raise DataError(f"{path}: {written}")
    if not claims:
        raise DataError(
            f"{path}: no source recognises what is there (there are {', '.join(SOURCE.names())}); name a folder that "
            "holds one for each class, or pictures and their annotations, or the source: --source NAME"
        )
    first, *others = claims
    return Recognised(_choice(first, claims[first], settings), tuple(others), newest)


def _choice(name: str, found: Mapping[str, Any], given: Mapping[str, Any] | None) -> Choice:
    choice = Choice(name=name, settings={**found, **(given or {})})
    SOURCE.settings(choice, "data.source")
    return choice
