"""The files of a table: those of a folder whose names are like patterns, or the one file that `data.path` is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pipeline.data.picture_headers import ENDINGS
from pipeline.data.source_rows import NothingThere
from pipeline.data.walking import shown_name, walk
from pipeline.data.wanted import Wanted
from pipeline.errors import DataError, UsageError
from pipeline.recipe.table_source import TableSettings

_LOOKED_AT = 1000  # entries of a folder, to tell what it holds


class TableFile(NamedTuple):
    """One file: its name relative to the source's folder, and what to open."""

    name: str
    path: Path


def table_files(settings: TableSettings, patterns: Sequence[str], folder: Path, wanted: Wanted) -> list[TableFile]:
    """Return the files that are read, sorted by the bytes of their names; those of joins are not among them.

    `*` and `?` are within one name, `**/` are any folders, or none. Raises NothingThere if there is no file, DataError
    if one leads out of the folder or is none, UsageError if a single file is to have others beside it.
    """
    if folder.is_file():
        _require_alone(settings, wanted)
        return [TableFile(folder.name, folder)]
    pattern = _expression(patterns)
    others = {str(Path(join.path)) for join in settings.joins}
    walked = (each for each in walk(folder, lambda _name, _is_folder: False) if not each.is_empty_folder)
    matched = [each for each in walked if pattern.fullmatch(each.name) and each.name not in others]
    for each in matched:
        if each.problem:
            detail = f": {each.detail}" if each.detail else ""
            raise DataError(f"{folder}/{shown_name(each.name)}: {each.problem}{detail}; take it out of `files`")
    if not matched:
        raise NothingThere(f"{folder}: holds no file like {', '.join(patterns)} (data.source.settings.files)")
    return [TableFile(shown_name(each.name), Path(each.path)) for each in matched]


def holds_such_files(path: Path, patterns: Sequence[str]) -> bool:
    """Return whether a path is a file that is called like a pattern, or a folder of some, without pictures."""
    pattern = _expression(patterns)
    if path.is_file():
        return pattern.fullmatch(path.name) is not None
    names = [each.name for each in islice(walk(path, lambda name, _: name.startswith(".")), _LOOKED_AT)]
    return any(map(pattern.fullmatch, names)) and not any(name.lower().endswith(ENDINGS) for name in names)


def _require_alone(settings: TableSettings, wanted: Wanted) -> None:
    """Refuse what needs other files where `data.path` is a single one: a change of theirs would not be seen."""
    if settings.joins:
        raise UsageError("data.path: is a file; joins need a folder that holds their file, too: name that")
    if any(feature.kind == "image" for feature in wanted.features):
        raise UsageError("data.path: is a file; pictures need a folder that holds them, too: name that")


def _expression(patterns: Sequence[str]) -> re.Pattern[str]:
    signs = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    parts = (re.split(r"(\*\*/|\*|\?)", each) for each in patterns)
    return re.compile("|".join("".join(signs.get(part, re.escape(part)) for part in each) for each in parts))
