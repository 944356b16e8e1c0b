"""What a small table holds, fetched in one job, so that counting takes none: columns, and conditions on its rows.

A Spark job over a small table is planning and scheduling, not work, and one that counts equal values also shuffles.
What is fetched is bounded by `ROWS_AT_MOST` rows and `TEXT_AT_MOST` characters of a text; what is larger stays in
Spark. So do values whose equality Arrow sees otherwise than Spark (floats, for NaN and -0.0). Conditions on rows are
evaluated by Spark in any case: only their outcomes are fetched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType

ROWS_AT_MOST = 250_000
TEXT_AT_MOST = 128  # characters
_COUNTS = "__rows"


@dataclass(frozen=True)
class SmallTable:
    """All rows of some columns of a table, in how many rows each condition holds, and the means of other columns."""

    rows: int
    columns: pa.Table
    conditions: dict[str, int]
    means: dict[str, float | None]

    def holds(self, columns: Iterable[str]) -> bool:
        """Whether all of these columns were fetched."""
        return set(columns) <= set(self.columns.column_names)

    def counts(self, column: str) -> dict[Any, int]:
        """Return each value that is not null, in order, and in how many rows it stands."""
        found = self._groups([column], self.columns[column].is_valid())
        return dict(sorted(zip(found[column].to_pylist(), found[_COUNTS].to_pylist(), strict=True)))

    def distinct(self, column: str) -> int:
        """Return how many different values there are, null not counted."""
        return int(pc.count_distinct(self.columns[column], mode="only_valid").as_py())

    def compared_rows(self, columns: Sequence[str], ignored: str) -> int:
        """Return how many rows `duplicated_rows` compares."""
        kept = self._kept(columns, ignored)
        return self.rows if kept is None else int(pc.sum(kept).as_py() or 0)

    def duplicated_rows(self, columns: Sequence[str], ignored: str) -> int:
        """Return how many rows share their values with another row; null equals null.

        Rows that do not count are `ignored` in Great Expectations' words: those in which `any_value_is_missing` or
        `all_values_are_missing`, or `never`.
        """
        found = self._groups(columns, self._kept(columns, ignored))[_COUNTS]
        return int(pc.sum(found.filter(pc.greater(found, 1))).as_py() or 0)

    def _kept(self, columns: Sequence[str], ignored: str) -> pa.ChunkedArray | None:
        if ignored == "never":
            return None
        either = {"any_value_is_missing": pc.or_, "all_values_are_missing": pc.and_}[ignored]
        missing = self.columns[columns[0]].is_null()
        for column in columns[1:]:
            missing = either(missing, self.columns[column].is_null())
        return pc.invert(missing)

    def _groups(self, columns: Sequence[str], kept: pa.ChunkedArray | None) -> pa.Table:
        rows = self.columns.select(columns)
        rows = rows if kept is None else rows.filter(kept)
        counted = rows.group_by(list(columns), use_threads=False).aggregate([([], "count_all")])
        return counted.rename_columns([*columns, _COUNTS])


def fetch(
    frame: DataFrame, columns: Iterable[str], conditions: Iterable[str], averaged: Iterable[str]
) -> SmallTable | None:
    """Return those of the columns that can be fetched, the conditions (SQL) and means; None if the table is not small.

    Nothing may be asked for twice.
    """
    from pyspark.sql.types import StringType

    types = {field.name: field.dataType for field in frame.schema.fields}
    wanted = [name for name in columns if name in types and _has_plain_equality(types[name])]
    asked = list(conditions)
    numbers = [name for name in averaged if name in types and _is_averaged_as_double(types[name])]
    texts = [name for name in wanted if isinstance(types[name], StringType)]
    selected = [f"left(`{name}`, {TEXT_AT_MOST + 1}) AS `{name}`" if name in texts else f"`{name}`" for name in wanted]
    selected += [f"({condition}) AS `__condition_{number}`" for number, condition in enumerate(asked)]
    selected += [f"CAST(`{name}` AS DOUBLE) AS `__number_{number}`" for number, name in enumerate(numbers)]
    table = frame.selectExpr(*(selected or ["1"])).limit(ROWS_AT_MOST + 1).toArrow()
    if table.num_rows > ROWS_AT_MOST:
        return None
    whole = [name for name in wanted if name not in texts or _longest(table[name]) <= TEXT_AT_MOST]
    held, doubles = table.columns[len(wanted) :][: len(asked)], table.columns[len(wanted) + len(asked) :]
    return SmallTable(
        rows=table.num_rows,
        columns=table.select(whole),
        conditions={sql: int(pc.sum(rows).as_py() or 0) for sql, rows in zip(asked, held, strict=True)},
        means=dict(zip(numbers, map(_mean, doubles), strict=False)),
    )


def _has_plain_equality(kind: DataType) -> bool:
    from pyspark.sql import types

    plain = (types.ByteType, types.ShortType, types.IntegerType, types.LongType, types.BooleanType, types.DateType)
    return isinstance(kind, plain) or kind == types.StringType()


def _is_averaged_as_double(kind: DataType) -> bool:
    from pyspark.sql import types

    return isinstance(kind, types.IntegerType | types.LongType | types.FloatType | types.DoubleType)


def _mean(values: pa.ChunkedArray) -> float | None:
    found = values.drop_null().to_numpy()
    if not len(found):
        return None
    # Rounded once (Python's fsum): the same in whichever order the rows come. Infinity and NaN it does not take.
    return (math.fsum(found) if np.isfinite(found).all() else float(found.sum())) / len(found)


def _longest(texts: pa.ChunkedArray) -> int:
    return int(pc.max(pc.utf8_length(texts)).as_py() or 0)
