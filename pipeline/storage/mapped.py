"""Columns of data sets in memory maps: their pages are the page cache's, so all processes of a machine share them.

A map takes no file descriptor, and of a process's own memory only some bytes for each Parquet page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import DataError, StorageError
from pipeline.records.manifest import FileEntry
from pipeline.storage.pages import OtherLayout, Page, column_pages, stored_bytes

Numbers = npt.NDArray[np.int64]
Layouts = Mapping[str, tuple[str, tuple[int, ...]]]  # by column: its dtype, and the shape of a value


class Values(Protocol):
    """What an array and a column in a memory map have in common: values `[row, *shape]` that are read as needed."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of each number."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`[row, *shape]`."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def __getitem__(self, rows: slice, /) -> npt.NDArray[Any]:
        """Return consecutive rows."""

    def take(self, rows: Numbers, /, axis: int) -> npt.NDArray[Any]:
        """Return a copy of some rows, in their order."""


@dataclass(frozen=True)
class Layout:
    """What a column's values are, and what they are stored as: both are the same, but for numbers below 32 bits."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stored: np.dtype[Any]

    @property
    def size_bytes(self) -> int:
        """Size of one stored value, in bytes."""
        return math.prod(self.shape) * self.stored.itemsize


class MappedColumn:
    """A column's values, `[row, *shape]`, read where they are asked for: by `take` or a slice, as those of an array."""

    def __init__(self, layout: Layout, files: Sequence[memoryview], pages: Sequence[tuple[int, Page]]) -> None:
        """`pages`: those of all rows in their order, each with the number of its file."""
        self._layout = layout
        self._files = files
        self._file_of = np.array([file for file, _ in pages], np.int64)
        self._begins = np.array([page.begin for _, page in pages], np.int64)
        self._starts = np.array([0, *accumulate(page.rows for _, page in pages)], np.int64)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of each number."""
        return self._layout.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """`[row, *shape]`."""
        return len(self), *self._layout.shape

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._starts[-1])

    def take(self, rows: Numbers, /, axis: int = 0) -> npt.NDArray[Any]:
        """Return a copy of some rows, in their order; raise IndexError for one that is not there."""
        if axis:
            raise IndexError("only rows can be taken")
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {len(self)}")
        pages = self._starts.searchsorted(rows, "right") - 1
        size = self._layout.size_bytes
        begins = self._begins[pages] + (rows - self._starts[pages]) * size
        places = zip(self._file_of[pages].tolist(), begins.tolist(), strict=True)
        return self._array([self._files[file][begin : begin + size] for file, begin in places])

    def __getitem__(self, rows: slice, /) -> npt.NDArray[Any]:
        """Return a copy of consecutive rows."""
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise IndexError("only consecutive rows can be sliced")
        size = self._layout.size_bytes
        pieces = []
        row, page = start, int(self._starts.searchsorted(start, "right")) - 1
        while row < stop:
            end = min(stop, int(self._starts[page + 1]))
            begin = int(self._begins[page]) + (row - int(self._starts[page])) * size
            pieces.append(self._files[self._file_of[page]][begin : begin + (end - row) * size])
            row, page = end, page + 1
        return self._array(pieces)

    def _array(self, pieces: Sequence[memoryview]) -> npt.NDArray[Any]:
        values = np.frombuffer(b"".join(pieces), self._layout.stored).reshape(-1, *self._layout.shape)
        return values.astype(self.dtype, copy=False)


def map_columns(files: Sequence[tuple[Path, FileEntry]], columns: Layouts) -> dict[str, MappedColumn]:
    """Map columns of shards that follow each other; `columns` gives each one's dtype and the shape of a value.

    Raises DataError for a shard of other rows than its entry says, or whose columns are not of that size, plain,
    uncompressed and without nulls; StorageError for one that cannot be read.
    """
    contents: list[memoryview] = []
    pages: dict[str, list[tuple[int, Page]]] = {name: [] for name in columns}
    stored = {name: np.dtype(dtype) for name, (dtype, _) in columns.items()}
    for number, (path, entry) in enumerate(files):
        content, metadata = _mapped(path)
        contents.append(content)
        if metadata.num_rows != entry.rows:
            raise DataError(
                f"{path}: {metadata.num_rows} rows, its manifest says {entry.rows}; run `dvc repro` to make it again"
            )
        try:
            for name, (dtype, shape) in columns.items():
                stored[name] = _stored_as(np.dtype(dtype), shape, stored_bytes(metadata, name), name)
                found = list(column_pages(content, metadata, name))
                if sum(page.rows for page in found) != entry.rows:
                    raise OtherLayout(f"column {name} has not a value for each of {entry.rows} rows")
                pages[name] += [(number, page) for page in found]
        except OtherLayout as error:
            raise DataError(f"{path}: {error}; run `dvc repro` to make it again") from None
    return {
        name: MappedColumn(Layout(shape, np.dtype(dtype), stored[name]), contents, pages[name])
        for name, (dtype, shape) in columns.items()
    }


def _mapped(path: Path) -> tuple[memoryview, Any]:
    """Return a file's bytes, as a map, and its Parquet metadata."""
    try:
        with pa.memory_map(str(path)) as file:  # closing it closes the file, not the map
            buffer = file.read_buffer()
    except (OSError, pa.ArrowException) as error:
        raise StorageError(f"{path}: cannot be read: {error}") from error
    try:
        return memoryview(buffer).cast("B"), pq.read_metadata(pa.BufferReader(buffer))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a readable Parquet file: {error}") from error


def _stored_as(dtype: np.dtype[Any], shape: tuple[int, ...], size: int, column: str) -> np.dtype[Any]:
    """Return as what each number of a column is stored whose stored values have so many bytes."""
    if not shape and dtype.kind in "iu" and dtype.itemsize < size == 4:
        return np.dtype(np.int32)
    if size != math.prod(shape) * dtype.itemsize:
        raise OtherLayout(f"column {column} has values of {size} bytes, declared are {dtype}{list(shape)}")
    return dtype
