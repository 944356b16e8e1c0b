"""The rows that stages have rejected: counted by reason and file, found one by one, with all that is known of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True)
class FoundRow:
    """One row, and where it stands: the shard, and its number there."""

    shard: str
    position: int
    values: Row


def reasons(quarantine: Path, most_files: int | None = None) -> tuple[Reason, ...]:
    """Count the rows of a quarantine, the commonest reason first; of each reason, tell at most so many files.

    Rows are counted by Arrow: only the files that are told become Python's.
    """
    counted = [_counted(table) for _, _, table in _tables(quarantine, _WHERE)]
    if not counted:
        return ()
    every = pa.concat_tables(counted)
    by_file = every.group_by(list(_KEYS), use_threads=False).aggregate([("rows", "sum")])
    by_file = by_file.sort_by([("rows_sum", "descending"), *((key, "ascending") for key in _KEYS)])
    by_reason = by_file.group_by(["reason", "column"], use_threads=False).aggregate(
        [("rows_sum", "sum"), ("source", "count")]
    )
    found = []
    for reason in by_reason.to_pylist():
        files = _of(by_file, reason).slice(0, most_files)
        here = _of(every, reason)
        if most_files is not None:
            here = here.filter(pc.is_in(here["source"], files["source"].combine_chunks()))
        first = _first_rows(here)
        found.append(
            Reason(
                reason["reason"],
                reason["column"] or None,
                reason["rows_sum_sum"],
                reason["source_count"],
                tuple(
                    RejectedFile(source, rows, tuple(first[source]))
                    for source, rows in zip(files["source"].to_pylist(), files["rows_sum"].to_pylist(), strict=True)
                ),
            )
        )
    return tuple(sorted(found, key=lambda each: (-each.rows, each.reason, each.column or "")))


def _counted(table: pa.Table) -> pa.Table:
    """Return a table's rows by reason, column and source: how many, and the first of their `numbers` in the source."""
    none = pa.array([""] * table.num_rows, pa.string())
    columns = {key: table[key].fill_null("") if key in table.column_names else none for key in _KEYS}
    grouped = pa.table({**columns, "row": table["row"]}).group_by(list(_KEYS), use_threads=False)
    counted = grouped.aggregate([([], "count_all"), ("row", "list")])
    first = [pc.list_slice(chunk, 0, _FIRST_ROWS) for chunk in counted["row_list"].chunks]
    return pa.table(
        {
            **{key: counted[key] for key in _KEYS},
            "rows": counted["count_all"],
            "numbers": pa.chunked_array(first, pa.list_(pa.int64())),
        }
    )


def _of(table: pa.Table, reason: Mapping[str, Any]) -> pa.Table:
    return table.filter(
        pc.and_(pc.equal(table["reason"], reason["reason"]), pc.equal(table["column"], reason["column"]))
    )


def _first_rows(table: pa.Table) -> dict[str, list[int]]:
    first: dict[str, list[int]] = {}
    for source, numbers in zip(table["source"].to_pylist(), table["numbers"].to_pylist(), strict=True):
        shown = first.setdefault(source, [])
        shown += [number for number in numbers if number is not None][: _FIRST_ROWS - len(shown)]
    return first


def find_row(quarantine: Path, name: str) -> FoundRow:
    """Return the row of an id, of the beginning of one (four characters at least), or of a place: `FILE`, `FILE:ROW`.

    Raises UsageError, with the nearest names, unless it is one row's.
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
        raise UsageError(f"'{name}' is {len(found)} rejected rows: {some}{' …' * (len(found) > _NAMED)}; name one")
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
