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

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline.recipe.table_source import Columns, Dialect, TableSettings
from pipeline.recipe.table_source import check as check

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.data.csv_blocks import OpenedCsv
    from pipeline.data.source_rows import Source
    from pipeline.data.table_rows import Block
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
    from pipeline.data.table_files import table_files
    from pipeline.data.table_rows import needed_columns, require_columns, source_tables

    found = table_files(settings, settings.files, folder, wanted)
    bounds = Bounds(settings.largest_total_gib * 2**30, "largest_total_gib", settings.largest_ratio)
    opened = [OpenedCsv(file.path, file.name, settings, bounds) for file in found]
    for each in opened:
        require_columns(each.shown, each.names, settings, wanted, each.doubt)
    columns = list(needed_columns(settings, wanted))
    return Source(rows=None, tables=source_tables(_blocks(opened, columns), settings, wanted, folder))


def column_names(settings: Settings, folder: Path) -> list[str]:
    """Return the columns of the first file."""
    from pipeline.data.csv_blocks import OpenedCsv
    from pipeline.data.delimited_files import Bounds
    from pipeline.data.table_files import table_files
    from pipeline.data.wanted import Wanted

    first = table_files(settings, settings.files, folder, Wanted())[0]
    bounds = Bounds(settings.largest_total_gib * 2**30, "largest_total_gib", settings.largest_ratio)
    return list(OpenedCsv(first.path, first.name, settings, bounds).names)


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
