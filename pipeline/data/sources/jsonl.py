"""JSON lines: files of one JSON object a line (*.jsonl, *.ndjson, either packed with gzip), a row each.

    {name: jsonl, settings: {target: label, known_at: {before: [body, length]}}}

A value is the text that stands in the file: a number keeps its literal, true and false are their words, and null, or
no field of that name, is missing. A line that is no object, or could be read in two ways, comes with its problem; so
does one with a list or an object in a column that is wanted. `row` is the line's number.
"""

from __future__ import annotations

from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline.recipe.table_source import Columns, TableSettings
from pipeline.recipe.table_source import check as check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.data.delimited_files import Stream
    from pipeline.data.json_lines import Row
    from pipeline.data.source_rows import Source
    from pipeline.data.table_files import TableFile
    from pipeline.data.table_rows import Block
    from pipeline.data.wanted import Wanted

KINDS = ("number", "category", "text", "image")
READS_A_FILE = True

_FILES = ("*.jsonl", "*.ndjson", "*.jsonl.gz", "*.ndjson.gz")
_ROWS = 4096
_BLOCK_BYTES = 32 * 2**20
_BUFFER_BYTES = 2**20
_MOST_NAMES = 1000  # of fields, to say which one is meant


class Settings(TableSettings):
    """Its settings in the recipe."""

    files: Columns = Field(
        default=_FILES,
        min_length=1,
        description="files of the folder that are read, with * and ?, and **/ for any folders; those of joins are not",
    )
    longest_line_mib: int = Field(default=16, ge=1, le=256, description="longest line that is read, MiB")
    largest_total_gib: int = Field(default=64, ge=1, le=16_384, description="GiB that a file may hold, unpacked")
    largest_ratio: int = Field(
        default=200, ge=1, le=1_000_000, description="how many times its size a .gz of over 1 MiB may unpack to"
    )


def open_source(settings: Settings, folder: Path, wanted: Wanted) -> Source:
    """Find the files of a folder; their lines are read when the tables are iterated."""
    from pipeline.data.source_rows import Source
    from pipeline.data.table_files import table_files
    from pipeline.data.table_rows import source_tables

    blocks = _blocks(settings, folder, table_files(settings, settings.files, folder, wanted), wanted)
    return Source(rows=None, tables=source_tables(blocks, settings, wanted, folder))


def column_names(settings: Settings, folder: Path) -> list[str]:
    """Return the fields of all lines in the order in which they come, those aside that hold a list or an object."""
    from pipeline.data.delimited_files import Bounds, opened
    from pipeline.data.json_lines import read_lines
    from pipeline.data.table_files import table_files
    from pipeline.data.wanted import Wanted

    names: dict[str, bool] = {}
    bounds = Bounds(settings.largest_total_gib * 2**30, "largest_total_gib", settings.largest_ratio)
    for file in table_files(settings, settings.files, folder, Wanted()):
        with opened(file.path, str(folder / file.name), bounds) as stream:
            for row in read_lines(BufferedReader(_Raw(stream), _BUFFER_BYTES), settings.longest_line_mib * 2**20):
                for name, value in row.fields.items():
                    names[name] = names.get(name, True) and not isinstance(value, list | dict)
    return [name for name, is_plain in names.items() if is_plain]


def recognise(path: Path) -> dict[str, Any] | None:
    """Return the settings with which it reads a path, None unless files there are called like JSON lines."""
    from pipeline.data.table_files import holds_such_files

    return {} if holds_such_files(path, _FILES) else None


def _blocks(settings: Settings, folder: Path, files: list[TableFile], wanted: Wanted) -> Iterator[Block]:
    """Yield the rows of all files; raise DataError if there is none, or none has a field that is needed."""
    from pipeline.data.delimited_files import Bounds, opened
    from pipeline.data.json_lines import read_lines
    from pipeline.data.table_rows import needed_columns, require_columns
    from pipeline.errors import DataError

    gathered = _Gathered(list(needed_columns(settings, wanted)))
    bounds = Bounds(settings.largest_total_gib * 2**30, "largest_total_gib", settings.largest_ratio)
    for file in files:
        with opened(file.path, str(folder / file.name), bounds) as stream:
            for row in read_lines(BufferedReader(_Raw(stream), _BUFFER_BYTES), settings.longest_line_mib * 2**20):
                gathered.add(row)
                if gathered.is_full:
                    yield gathered.block(file.name)
            stream.require_unchanged(stream.state)
        if gathered.rows:
            yield gathered.block(file.name)
    if not gathered.has_any:
        raise DataError(f"{folder}: no line in it; expected one JSON object a line")
    require_columns(str(folder), sorted(gathered.seen), settings, wanted)


class _Raw(RawIOBase):
    """A stream as Python's own buffers read it, which find the ends of lines quickly."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._stream.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


class _Gathered:
    """Rows that are not in a block yet, and the names of fields that any row has had."""

    def __init__(self, names: list[str]) -> None:
        self.seen: set[str] = set()
        self.has_any = False
        self._names = names
        self._start()

    def _start(self) -> None:
        self.rows: list[list[str | None]] = []
        self._numbers: list[int] = []
        self._problems: list[tuple[str | None, str | None]] = []
        self._size = 0

    def add(self, row: Row) -> None:
        from pipeline.data.json_lines import texts

        if len(self.seen) < _MOST_NAMES or not self.seen.issuperset(self._names):
            self.seen.update(row.fields)
        found = row.problem or texts(row, self._names)
        self._numbers.append(row.number)
        if isinstance(found, list):
            self.rows.append(found)
            self._problems.append((None, None))
            self._size += row.size_bytes
        else:
            self.rows.append([None] * len(self._names))
            self._problems.append(found)
        self.has_any = True

    @property
    def is_full(self) -> bool:
        return len(self.rows) >= _ROWS or self._size >= _BLOCK_BYTES

    def block(self, file: str) -> Block:
        import pyarrow as pa

        from pipeline.data.table_rows import Block

        columns = zip(*self.rows, strict=True)
        table = pa.table([pa.array(column, pa.string()) for column in columns], self._names)
        problems, details = (pa.array(each, pa.string()) for each in zip(*self._problems, strict=True))
        block = Block(file, table, pa.array(self._numbers, pa.int64()), problems, details)
        self._start()
        return block
