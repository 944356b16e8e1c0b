"""The rows that an expectation does not allow: each with the file it came from, and the value that it is about.

Rows of raw data say themselves where they came from. Prepared ones have an id alone, by which the kept rows tell it; a
changed copy came from where its source row did.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.records.contract_result import OffendingRow
from pipeline.storage.shards import iter_tables

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

Place = tuple[str, int]  # a file of the source, and the row's number in it
Places = Callable[[Sequence[str]], Mapping[str, Place]]

SHOWN = 20
LISTED = 100_000  # rows of one expectation; nobody repairs more of them one by one
_FIRST = ("id", "source", "row")
_ORIGIN = "source_id"
_LONGEST_VALUE = 200  # characters


def offending_rows(rows: DataFrame, unexpected: Column, columns: Sequence[str], places: Places | None) -> pa.Table:
    """Return the first LISTED rows for which a condition holds: `id`, `source`, `row`, and `columns` as text.

    They are in the order of files and rows, or of ids where files are not known. `places` finds those of rows, by id,
    in tables without the columns `source` and `row`; without it they are null.
    """
    from pyspark.sql import functions

    has_places = {"source", "row"} <= set(rows.columns)
    own = [name for name in dict.fromkeys(columns) if name in rows.columns and name not in _FIRST]
    id_ = functions.col("id").cast("string")
    origin = functions.col(_ORIGIN) if _ORIGIN in rows.columns else functions.lit(None).cast("string")
    selected = [
        id_.alias("id"),
        *(
            (functions.col(name) if has_places else functions.lit(None)).cast(kind).alias(name)
            for name, kind in (("source", "string"), ("row", "bigint"))
        ),
        functions.coalesce(origin, id_).alias("__origin"),
        *(functions.left(functions.col(f"`{n}`").cast("string"), functions.lit(_LONGEST_VALUE)).alias(n) for n in own),
    ]
    # As Great Expectations itself does: a condition over a window is allowed in a column, but not in a filter.
    found = rows.withColumn("__unexpected", unexpected).filter("__unexpected").select(*selected)
    order = (*(("source", "row") if has_places else ()), "id", *own)
    table = found.orderBy(*(f"`{name}`" for name in order)).limit(LISTED).toArrow()
    if not has_places and places is not None:
        table = _placed(table, places)
    return table.drop_columns(["__origin"])


def _placed(table: pa.Table, places: Places) -> pa.Table:
    origins = table["__origin"].to_pylist()
    known = places([origin for origin in origins if origin is not None])
    found = [known.get(origin, (None, None)) for origin in origins]
    for name, kind, values in (
        ("source", pa.string(), [source for source, _ in found]),
        ("row", pa.int64(), [row for _, row in found]),
    ):
        table = table.set_column(table.column_names.index(name), name, pa.array(values, kind))
    return table.sort_by([(name, "ascending") for name in ("source", "row", "id")])


def find_places(folder: Path, ids: Sequence[str]) -> dict[str, Place]:
    """Return where rows of a data set came from that has the columns `id`, `source` and `row`, by their ids."""
    wanted = pa.array(sorted(set(ids)), pa.string())
    found: dict[str, Place] = {}
    for table in iter_tables(folder, list(_FIRST), verify=False) if len(wanted) else ():
        here = table.filter(pc.is_in(table["id"], wanted))
        found |= zip(here["id"].to_pylist(), zip(*(here[n].to_pylist() for n in _FIRST[1:]), strict=True), strict=True)
    return found


def first_rows(table: pa.Table) -> tuple[OffendingRow, ...]:
    """Return the rows that are named where people look first."""
    rows = table.slice(0, SHOWN).select(list(_FIRST)).to_pylist()
    return tuple(OffendingRow(id=row["id"] or "null", source=row["source"], row=row["row"]) for row in rows)


def listing(table: pa.Table) -> bytes:
    """Return the rows as CSV, with a line of column names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return text.getvalue().encode()


def in_words(rows: Sequence[OffendingRow]) -> str:
    """Return rows by their files, `train.gz: 3, 17; test.gz: 4`, or by their ids where files are not known."""
    by_file: dict[str, list[str]] = {}
    for row in rows:
        by_file.setdefault(row.source or "", []).append(row.id if row.source is None else str(row.row))
    said = {file: ", ".join(names) for file, names in by_file.items()}
    return "; ".join(f"{file}: {names}" if file else f"ids {names}" for file, names in said.items())
