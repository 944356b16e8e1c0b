"""Tables of delimited text: CSV files, plain or gzip, in one declared dialect. Every value is read as text.

    source:
      name: csv
      settings:
        files: ["flights*.csv.gz"]
        target: {column: arr_delay, edges: [29.5]}
        known_at: {before: [carrier, dest], after: [dep_time, air_time]}
    path: samples/flights

Every record is a row; its number counts the records of its file, from 1. One with quotes that do not pair, another
number of values than columns, a NUL, bytes that are no text, or a value that is too large is a row with that problem
and the line's begin (`pipeline/data/csv_records.py` has the rules). What a text means is the feature's kind to say.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline.errors import DataError, UsageError
from pipeline.recipe.table_source import Columns, Dialect, TableSettings
from pipeline.recipe.table_source import check as check

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.data.csv_blocks import OpenedCsv
    from pipeline.data.source_rows import Source
    from pipeline.data.table_rows import Block
    from pipeline.data.walking import Found
    from pipeline.data.wanted import Wanted

KINDS = ("number", "category", "text", "image")
READS_A_FILE = True
_LOOKED_AT = 1000  # entries of a folder, to tell what it holds


class Settings(TableSettings, Dialect):
    """Its settings in the recipe."""

    files: Columns = Field(
        default=("*.csv", "*.csv.gz"),
        min_length=1,
        description="files of the folder that are read, with * and ?, and **/ for any folders; those of joins are not",
    )
    largest_total_gib: int = Field(default=64, ge=1, le=16_384, description="GiB that a file may hold, unpacked")
    largest_ratio: int = Field(
        default=200, ge=1, le=1_000_000, description="how many times its size a .gz of over 1 MiB may unpack to"
    )


def open_source(settings: Settings, folder: Path, wanted: Wanted) -> Source:
    """Read the headers of a folder's files, or of a single file; their rows are read when the tables are iterated."""
    from pipeline.data.csv_blocks import OpenedCsv
    from pipeline.data.delimited_files import Bounds
    from pipeline.data.source_rows import Source
    from pipeline.data.table_rows import needed_columns, require_columns, source_tables

    found = _found(settings, folder, wanted)
    bounds = Bounds(settings.largest_total_gib * 2**30, "largest_total_gib", settings.largest_ratio)
    opened = [OpenedCsv(path, name, settings, bounds) for path, name in found]
    for each in opened:
        require_columns(each.shown, each.names, settings, wanted, each.doubt)
    columns = list(needed_columns(settings, wanted))
    return Source(rows=None, tables=source_tables(_blocks(opened, columns), settings, wanted, folder))


def _found(settings: Settings, folder: Path, wanted: Wanted) -> list[tuple[Path, str]]:
    if folder.is_file():
        _require_alone(settings, wanted)
        return [(folder, folder.name)]
    return [(Path(each.path), each.name) for each in _files(settings, folder)]


def column_names(settings: Settings, folder: Path) -> list[str]:
    """Return the columns of the first file."""
    from pipeline.data.csv_blocks import OpenedCsv
    from pipeline.data.delimited_files import Bounds
    from pipeline.data.wanted import Wanted

    path, name = _found(settings, folder, Wanted())[0]
    bounds = Bounds(settings.largest_total_gib * 2**30, "largest_total_gib", settings.largest_ratio)
    return list(OpenedCsv(path, name, settings, bounds).names)


def recognise(path: Path) -> dict[str, Any] | None:
    """Return the settings with which files of delimited text are read, None if a path holds none, or pictures too."""
    from itertools import islice

    from pipeline.data.csv_sniffing import dialect_of
    from pipeline.data.picture_headers import ENDINGS
    from pipeline.data.walking import walk

    if path.is_file():
        return dialect_of(path) if _is_named_like_a_table(path.name) else None
    names = [found.name for found in islice(walk(path, lambda name, _: name.startswith(".")), _LOOKED_AT)]
    tables = [name for name in names if _is_named_like_a_table(name) and "/" not in name]
    if not tables or any(name.lower().endswith(ENDINGS) for name in names):
        return None
    found = dialect_of(path / tables[0])
    if found is None or all(name.endswith((".csv", ".csv.gz")) for name in tables):
        return found
    return {"files": tables, **found}


def _is_named_like_a_table(name: str) -> bool:
    return name.lower().removesuffix(".gz").endswith((".csv", ".tsv"))


def _blocks(opened: Sequence[OpenedCsv], columns: Sequence[str]) -> Iterator[Block]:
    for each in opened:
        yield from each.blocks(columns)


def _require_alone(settings: Settings, wanted: Wanted) -> None:
    """Refuse what needs other files where `data.path` is a single one: a change of theirs would not be seen."""
    if settings.joins:
        raise UsageError("data.path: is a file; joins need a folder that holds their file, too: name that")
    if any(feature.kind == "image" for feature in wanted.features):
        raise UsageError("data.path: is a file; pictures need a folder that holds them, too: name that")


def _files(settings: Settings, folder: Path) -> list[Found]:
    """Return the files that are read, sorted by the bytes of their names."""
    from pipeline.data.source_rows import NothingThere
    from pipeline.data.walking import shown_name, walk

    pattern = re.compile("|".join(map(_expression, settings.files)))
    others = {str(Path(join.path)) for join in settings.joins}
    walked = (found for found in walk(folder, lambda _name, _is_folder: False) if not found.is_empty_folder)
    matched = [found for found in walked if pattern.fullmatch(found.name) and found.name not in others]
    for found in matched:
        if found.problem:
            detail = f": {found.detail}" if found.detail else ""
            raise DataError(f"{folder}/{shown_name(found.name)}: {found.problem}{detail}; take it out of `files`")
    if not matched:
        raise NothingThere(f"{folder}: holds no file like {', '.join(settings.files)} (data.source.settings.files)")
    return matched


def _expression(pattern: str) -> str:
    """Return the expression of a pattern: * and ? are within one name, **/ are any folders, or none."""
    parts = re.split(r"(\*\*/|\*|\?)", pattern)
    return "".join({"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part)) for part in parts)
