"""Which rows are kept, and why each other row is rejected.

A row gets the first reason that applies, in the order of `reasons`: those of its features' kinds, then of its label.
These look at one row. The last two compare the rows that passed those: rows are equal when all of their features hold
the same, which their kinds decide, so a PNG equals the raw image it holds.

Of exact duplicates (equal rows, same label) one is kept: a row of the source's test part before one of its training
part, then the lowest (source, row). So no content is on both sides of a split. Of equal rows with different labels none
is kept, since nothing says which label is right.

Where the source's own test files are the test part, its rows are given: a training row that equals one is rejected,
whatever its label, and never takes a test row along. So the test rows stay the same however the training data grow.
Test rows that contradict each other are rejected, and with them every training row that equals them.

A row leaves with the digest of what it holds as its `content_digest`, so what follows from that does not depend on how
a picture is encoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.feature_kinds import joined_digests, kind_of, raw_schema
from pipeline.errors import DataError
from pipeline.records.feature import FeatureSpec

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

UNKNOWN_LABEL = "label outside the declared classes"
CONFLICT = "conflicting label"
DUPLICATE = "exact duplicate"

# What the comparison needs to know about each row, without its payload.
FACTS_SCHEMA = pa.schema(
    [
        ("shard", pa.int32()),
        ("position", pa.int32()),  # row inside the shard
        ("reason", pa.string()),  # of the row by itself; null if there is none
        ("content", pa.string()),  # digest of what its features hold; for a rejected row a unique text
        ("held", pa.string()),  # the same where the row was delivered with another digest; null where not, or rejected
        ("label", pa.int32()),
        ("is_training", pa.bool_()),  # false sorts first: the test row is kept
        ("source", pa.string()),
        ("row", pa.int64()),
    ]
)
FOUND_SCHEMA = pa.schema(
    [("shard", pa.int32()), ("position", pa.int32()), ("reason", pa.string()), ("held", pa.string())]
)


def reasons(features: Sequence[FeatureSpec]) -> tuple[str, ...]:
    """Return every reason for which a row may be rejected, the first to be given first."""
    of_features = (_told(spec, reason, features) for spec in features for reason in kind_of(spec).REASONS)
    return (*of_features, UNKNOWN_LABEL, CONFLICT, DUPLICATE)


def quarantine_schema(features: Sequence[FeatureSpec]) -> pa.Schema:
    """Return the schema of rejected rows: raw rows, each with its reason."""
    return raw_schema(features).append(pa.field("reason", pa.string()))


def examine(table: pa.Table, shard: int, classes: int, features: Sequence[FeatureSpec]) -> pa.Table:
    """Return the facts of a shard's raw rows, one row of FACTS_SCHEMA each.

    `classes` is the number of declared classes: valid labels are 0 to `classes - 1`. Raises DataError if what a row
    holds does not match its digest.
    """
    delivered = {spec.name: kind_of(spec).raw_digests(spec, table) for spec in features}
    for row, (found, declared) in enumerate(
        zip(joined_digests(delivered), table["content_digest"].to_pylist(), strict=True)
    ):
        if found != declared:
            row_id = table["id"][row].as_py()
            raise DataError(f"data/raw: row {row_id}: its content does not match its digest; run stage ingest again")
    why, content = _usability(table, delivered, features)
    labels = table["label"].to_numpy(zero_copy_only=False)
    is_known = (labels >= 0) & (labels < classes)  # a missing label is NaN and fails both
    why = np.where((why == None) & ~is_known, UNKNOWN_LABEL, why)  # noqa: E711 - element by element
    held = np.asarray(content, np.object_)
    held[(why != None) | (held == np.asarray(table["content_digest"].to_pylist(), np.object_))] = None  # noqa: E711
    for position in np.flatnonzero(why != None):  # noqa: E711
        content[position] = f"{shard}:{position}"
    columns = {
        "shard": pa.array(np.full(table.num_rows, shard, np.int32)),
        "position": pa.array(np.arange(table.num_rows, dtype=np.int32)),
        "reason": pa.array(why, pa.string()),
        "content": pa.array(content, pa.string()),
        "held": pa.array(held, pa.string()),
        "label": table["label"],
        "is_training": pa.array([part != "test" for part in table["part"].to_pylist()]),
        "source": table["source"],
        "row": table["row"],
    }
    return pa.table(columns, FACTS_SCHEMA)


def _usability(
    table: pa.Table, delivered: Mapping[str, Sequence[str]], features: Sequence[FeatureSpec]
) -> tuple[npt.NDArray[np.object_], list[str]]:
    """Return each row's first reason of its features (None: usable), and the digest of what they hold."""
    why = np.full(table.num_rows, None, np.object_)
    held = {}
    for spec in features:
        found, held[spec.name] = kind_of(spec).examine(spec, table, delivered[spec.name])
        for row in np.flatnonzero((found != None) & (why == None)):  # noqa: E711 - element by element
            why[row] = _told(spec, found[row], features)
    return why, joined_digests(held)


def _told(spec: FeatureSpec, reason: str, features: Sequence[FeatureSpec]) -> str:
    """Return a feature's reason; of several features, it says which one it is about."""
    return reason if len(features) == 1 else f"{spec.name}: {reason}"


def compared(facts: DataFrame, *, is_test_given: bool) -> DataFrame:
    """Compare the rows of FACTS_SCHEMA and return those that do not stay as they are, rows of FOUND_SCHEMA.

    They are rejected, with a reason, or get the digest of what they hold, or both.

    If the test part `is_test_given`, its labels are those that equal rows are held against; otherwise all rows count
    alike. One shuffle, of digests and positions only.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as sql

    equal = Window.partitionBy("content")
    in_order = equal.orderBy("is_training", "source", "row", "shard", "position")
    of_test = sql.when(~sql.col("is_training"), sql.col("label")) if is_test_given else sql.lit(None).cast("int")
    lowest, highest = (sql.coalesce(end(of_test).over(equal), end("label").over(equal)) for end in (sql.min, sql.max))
    beside_equals = facts.select(
        "shard",
        "position",
        "reason",
        "held",
        ((lowest != highest) | (sql.col("label") != lowest)).alias("is_conflict"),
        sql.row_number().over(in_order).alias("rank"),
    )
    reason = (
        sql.when(sql.col("reason").isNotNull(), sql.col("reason"))
        .when(sql.col("is_conflict"), sql.lit(CONFLICT))
        .when(sql.col("rank") > 1, sql.lit(DUPLICATE))
    )
    found = beside_equals.select("shard", "position", reason.alias("reason"), "held")
    return found.where(sql.col("reason").isNotNull() | sql.col("held").isNotNull())


def separate(table: pa.Table, found: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Divide a shard's raw rows into the kept ones and the rejected ones, with their reasons, in order.

    `found` has the rows of FOUND_SCHEMA of this shard, whose digests are put in.
    """
    reasons = np.full(table.num_rows, None, np.object_)
    digests = np.asarray(table["content_digest"].to_pylist(), np.object_)
    positions, held = found["position"].to_numpy(), np.asarray(found["held"].to_pylist(), np.object_)
    reasons[positions] = found["reason"].to_pylist()
    is_other = held != None  # noqa: E711 - element by element
    digests[positions[is_other]] = held[is_other]
    place = table.column_names.index("content_digest")
    table = table.set_column(place, "content_digest", pa.array(digests, pa.string()))
    is_kept = pa.array(reasons == None)  # noqa: E711
    why = pa.array(reasons[reasons != None], pa.string())  # noqa: E711
    return table.filter(is_kept), table.filter(pc.invert(is_kept)).append_column("reason", why)
