"""Parquet files (*.parquet): their columns as text (`data/parquet_texts.py` says which), parsed as every table's are.

    {name: parquet, settings: {target: arr_delay, known_at: {before: [carrier, distance], after: [air_time]}}}

The footers of all files are read first: one that is damaged, lacks a column that is wanted, or has it as another type
than the first file, ends the run before anything is read. A null is a missing value.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline.recipe.table_source import Columns, TableSettings
from pipeline.recipe.table_source import check as check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.data.parquet_texts import ParquetFile
    from pipeline.data.source_rows import Source
    from pipeline.data.table_rows import Block
    from pipeline.data.wanted import Wanted

KINDS = ("number", "category", "text", "image")
READS_A_FILE = True

_FILES = ("*.parquet",)


class Settings(TableSettings):
    """Its settings in the recipe."""

    files: Columns = Field(
        default=_FILES,
        min_length=1,
        description="files of the folder that are read, with * and ?, and **/ for any folders; those of joins are not",
    )


def open_source(settings: Settings, folder: Path, wanted: Wanted) -> Source:
    """Read the footers of a folder's files; their rows are read when the tables are iterated."""
    from pipeline.data.parquet_texts import look_at, require_alike
    from pipeline.data.source_rows import NothingThere, Source
    from pipeline.data.table_files import table_files
    from pipeline.data.table_rows import needed_columns, require_columns, source_tables

    found = table_files(settings, settings.files, folder, wanted)
    needed = needed_columns(settings, wanted)
    files = [(file.name, look_at(file.path, needed)) for file in found]
    for name, file in files:
        require_columns(f"{folder}/{name}", file.names, settings, wanted)
    for _, file in files[1:]:
        require_alike(files[0][1], file)
    rows = sum(file.rows for _, file in files)
    if not rows:
        raise NothingThere(f"{folder}: no row in {len(files)} Parquet files")
    test_rows = 0 if settings.part is None else None
    return Source(rows=rows, tables=source_tables(_blocks(files), settings, wanted, folder), test_rows=test_rows)


def column_names(settings: Settings, folder: Path) -> list[str]:
    """Return the columns of the first file that have a text."""
    from pipeline.data.parquet_texts import names_with_text
    from pipeline.data.table_files import table_files
    from pipeline.data.wanted import Wanted

    return names_with_text(table_files(settings, settings.files, folder, Wanted())[0].path)


def recognise(path: Path) -> dict[str, Any] | None:
    """Return the settings with which it reads a path, None unless files there are called like Parquet."""
    from pipeline.data.table_files import holds_such_files

    return {} if holds_such_files(path, _FILES) else None


def _blocks(files: list[tuple[str, ParquetFile]]) -> Iterator[Block]:
    import pyarrow as pa

    from pipeline.data.parquet_texts import read_texts
    from pipeline.data.table_rows import Block

    for name, file in files:
        first = 1
        for table in read_texts(file):
            yield Block(name, table, pa.array(range(first, first + table.num_rows), pa.int64()))
            first += table.num_rows
