"""The distinct values of a column, and how often each comes: exact, however rows are cut into pieces.

Every figure that is learned of a column follows from these, so that neither the pieces nor their order can change it.
They are kept whole: a column of numbers that all differ takes 16 bytes a training row where they are added up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class ValueCounts:
    """Distinct values in rising order (texts: of their UTF-8 bytes), the rows of each, and the rows without a value."""

    values: pa.Array
    counts: npt.NDArray[np.int64]
    missing: int

    @property
    def rows(self) -> int:
        """Return the number of rows, with and without a value."""
        return int(self.counts.sum()) + self.missing


def occurrences(column: pa.ChunkedArray | pa.Array) -> Counter[Any]:
    """Return how often each value of a column comes, None among them."""
    found = pc.value_counts(column)
    return Counter(dict(zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True)))


def counted(column: pa.ChunkedArray | pa.Array) -> ValueCounts:
    """Count a column's values; null is none."""
    found = pc.value_counts(column.drop_null())
    return _in_order(pa.table({"value": found.field(0), "rows": found.field(1)}), column.null_count)


def added(pieces: Sequence[ValueCounts], type_: pa.DataType) -> ValueCounts:
    """Add up the counts of pieces of a column of this type; those of one piece are what they are."""
    if len(pieces) == 1:
        return pieces[0]
    values = pa.chunked_array([piece.values for piece in pieces], type_)
    rows = pa.chunked_array([pa.array(piece.counts) for piece in pieces], pa.int64())
    table = pa.table({"value": values, "rows": rows})
    grouped = table.group_by("value", use_threads=False).aggregate([("rows", "sum")])
    return _in_order(grouped.rename_columns(["value", "rows"]), sum(piece.missing for piece in pieces))


def _in_order(table: pa.Table, missing: int) -> ValueCounts:
    table = table.sort_by("value").combine_chunks()
    return ValueCounts(_whole(table["value"]), _whole(table["rows"]).to_numpy().astype(np.int64), missing)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
