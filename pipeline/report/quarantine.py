"""The rows that stages have rejected: counted by reason and file, found one by one, with all that is known of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import DataError, UsageError, nearest, printable
from pipeline.storage.manifests import read_manifest
from pipeline.storage.shards import iter_shard

_KEYS = ("reason", "column", "source")  # a quarantine of an earlier Ratchet has no column
_WHERE = (*_KEYS, "row")
_SHORTEST_ID = 4
_FIRST_ROWS = 20  # of a file
_NAMED = 5  # rows that a name which is not one row's may mean
_DIGEST = "content_digest"


Row = Mapping[str, Any]


@dataclass(frozen=True)
class RejectedFile:
    """A file of the source: how many of its rows were rejected for one reason, and the first of their numbers."""

    source: str
    rows: int
    first: tuple[int, ...]


@dataclass(frozen=True)
class Reason:
    """Why rows were rejected, the column that it is about if it is about one, and their files, those of most first.

    `rows` and `file_count` are of all files; of `files` there may be the first alone.
    """

    reason: str
    column: str | None
    rows: int
    file_count: int
    files: tuple[RejectedFile, ...]


class SeveralRows(UsageError):
    """A name means more than one row."""


@dataclass(frozen=True)
class FoundRow:
    """One row, and where it stands: the shard, and its number there."""

    shard: str
    position: int
    values: Row


def reasons(quarantine: Path, most_files: int | None = None) -> tuple[Reason, ...]:
    """Count the rows of a quarantine, the commonest reason first; of each reason, tell at most so many files.

    Rows are counted as numbers: only the files that are told become Python's.
    """
    tables = [table for _, _, table in _tables(quarantine, _WHERE)]
    if not sum(table.num_rows for table in tables):
        return ()
    (of_reason, reasons_), (of_column, columns), (of_source, sources) = (_encoded(tables, key) for key in _KEYS)
    numbers = pa.concat_arrays([chunk for table in tables for chunk in table["row"].chunks])
    alphabetical = np.argsort(_integers(pc.sort_indices(sources), np.uint64))
    why = of_reason * len(columns) + of_column
    in_order = np.lexsort((np.arange(len(why)), of_source, why))
    groups = (why * len(sources) + of_source)[in_order]
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    rows = np.diff(starts, append=len(groups))
    why_of_group, source_of_group = np.divmod(groups[starts], len(sources))
    found = []
    for each in np.unique(why_of_group).tolist():
        files = np.flatnonzero(why_of_group == each)
        reason, column = divmod(each, len(columns))
        told = files[np.lexsort((alphabetical[source_of_group[files]], -rows[files]))][:most_files].tolist()
        found.append(
            Reason(
                reasons_[reason].as_py() or "",
                columns[column].as_py() or None,
                int(rows[files].sum()),
                len(files),
                tuple(
                    RejectedFile(
                        sources[int(source_of_group[group])].as_py() or "",
                        int(rows[group]),
                        _first(numbers, in_order[starts[group] : starts[group] + rows[group]]),
                    )
                    for group in told
                ),
            )
        )
    return tuple(sorted(found, key=lambda each: (-each.rows, each.reason, each.column or "")))


def _encoded(tables: Sequence[pa.Table], key: str) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Return the number of each row's text, `[row]`, and the texts. A column that is not there is all null.

    Nothing here is made of Python's values, for which Arrow would import pandas: a page does without.
    """
    chunks: list[pa.Array] = []
    for table in tables:
        chunks += table[key].chunks if key in table.column_names else [pa.nulls(table.num_rows, pa.string())]
    encoded = pa.concat_arrays(chunks).dictionary_encode(null_encoding="encode")
    return _integers(encoded.indices, np.int32).astype(np.int64), encoded.dictionary


def _integers(values: pa.Array, kind: type[np.integer[Any]]) -> npt.NDArray[Any]:
    return np.frombuffer(values.buffers()[1], kind, len(values), values.offset * np.dtype(kind).itemsize)


def _first(numbers: pa.Array, places: npt.NDArray[np.int64]) -> tuple[int, ...]:
    """Return the first rows of a file, those without a number aside."""
    found = (numbers[place].as_py() for place in places[:_FIRST_ROWS].tolist())
    return tuple(number for number in found if number is not None)


def find_row(quarantine: Path, name: str) -> FoundRow:
    """Return the row of an id, of the beginning of one (four characters at least), or of a place: `FILE`, `FILE:ROW`.

    Raises UsageError, with the nearest names, unless it is one row's; SeveralRows if it is more than one's.
    """
    file, number = _place(name)
    found: list[tuple[str, int, Row]] = []
    sources: set[str] = set()
    for shard, start, table in _tables(quarantine, ("id", "source", "row")):
        rows = zip(table["id"].to_pylist(), table["source"].to_pylist(), table["row"].to_pylist(), strict=True)
        for position, (row_id, source, row) in enumerate(rows, start):
            said = (source, printable(source or ""))  # as it is, and as the list shows it
            sources.add(said[1])
            is_meant = name in said or (file in said and row == number)
            if is_meant or (len(name) >= _SHORTEST_ID and (row_id or "").startswith(name)):
                found.append((shard, position, {"id": row_id, "source": source, "row": row}))
    if not found:
        raise UsageError(f"no rejected row '{name}'{nearest(name, sorted(sources)[:1000])}; `ratchet quarantine list`")
    if len(found) > 1:
        some = ", ".join(f"{row['source']}:{row['row']}" for _, _, row in found[:_NAMED])
        raise SeveralRows(f"'{name}' is {len(found)} rejected rows: {some}{' …' * (len(found) > _NAMED)}; name one")
    [(shard, position, _)] = found
    return FoundRow(shard, position, _row_at(quarantine, shard, position))


def _place(name: str) -> tuple[str | None, int | None]:
    match = re.fullmatch(r"(.+):(\d{1,18})", name, re.DOTALL)
    return (match[1], int(match[2])) if match else (None, None)


def _row_at(quarantine: Path, shard: str, position: int) -> Row:
    for name, start, table in _tables(quarantine, None):
        if name == shard and start <= position < start + table.num_rows:
            [row] = table.slice(position - start, 1).to_pylist()
            return dict(row)
    raise DataError(f"{quarantine / shard}: has no row {position}; run `dvc repro`")


def equal_rows(folder: Path, digest: str | None, but: str | None, most: int = _NAMED) -> list[Row]:
    """Return the `id`, `source`, `row` and `label` of the first rows of a data set that hold what a digest is of."""
    found: list[Row] = []
    for _, _, table in _tables(folder, ("id", "source", "row", "label", _DIGEST)) if digest else ():
        if _DIGEST in table.column_names:
            here = table.filter(pc.equal(table[_DIGEST], digest)).drop_columns([_DIGEST])
            found += [row for row in here.to_pylist() if row["id"] != but]
        if len(found) >= most:
            break
    return found[:most]


def rejected_tables(quarantine: Path) -> Iterator[pa.Table]:
    """Yield all rows with all columns, some at a time."""
    for _, _, table in _tables(quarantine, None):
        yield table


def _tables(folder: Path, columns: Sequence[str] | None) -> Iterator[tuple[str, int, pa.Table]]:
    """Yield a data set's row groups with those of the columns that are there: the shard, the first row's number, rows.

    Their digests are checked first.
    """
    manifest = read_manifest(folder)
    names = None if columns is None else [name for name in columns if name in manifest.columns]
    for entry in manifest.files:
        start = 0
        for table in iter_shard(folder / entry.path, names):
            yield entry.path, start, table
            start += table.num_rows
