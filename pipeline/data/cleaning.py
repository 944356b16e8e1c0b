"""Which rows are kept, which are held back, and why each other row is rejected.

A row gets the first reason that applies: the source's problem with it, those of its features' kinds, then of its
label. These look at one row. The last two compare the rows that passed those: rows are equal when all of their
features are, as clean rows hold them. So a PNG equals the raw image it holds, and so do pictures that are the same once
they are resized.

Of exact duplicates (equal rows, same label) one is kept: a row of the source's test part before one of its validation
part before one of its training part, then the lowest (source, row). So no content is on both sides of a split. Of equal
rows with different labels none is kept, since nothing says which label is right.

Where the source's own test files are the test part, its rows are given: a training row that equals one is rejected,
whatever its label, and never takes a test row along. So the test rows stay the same however the training data grow.
Test rows that contradict each other are rejected, and with them every training row that equals them.

A row without a label is held back, unless it equals another row: then that one stays, or nothing does where those
contradict each other. So nothing that is held back stands in a part under another name.

A row leaves with the digest of what it holds, before it is resized, as its `content_digest`: what follows from that
depends neither on how a picture is encoded nor on the size of prepared ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.feature_kinds import clean_names, clean_schema, joined_digests, kind_of, raw_schema
from pipeline.errors import DataError
from pipeline.records.feature import FeatureSpec

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

UNKNOWN_LABEL = "label outside the declared classes"
CONFLICT = "conflicting label"
DUPLICATE = "exact duplicate"

_LABEL = "label"  # the column that these are about
_RANKS = {"test": 0, "validation": 1}  # of equal rows the lowest is kept
_TEST, _TRAIN, _UNLABELLED = 0, 2, 3

# What the comparison needs to know about each row, without its values.
FACTS_SCHEMA = pa.schema(
    [
        ("shard", pa.int32()),
        ("position", pa.int32()),  # row inside the shard
        ("reason", pa.string()),  # of the row by itself; null if there is none
        ("column", pa.string()),  # the feature that it is about, or `label`; null if it is about the row
        ("detail", pa.string()),
        ("content", pa.string()),  # digest of the clean values; null for a rejected row
        ("label", pa.int32()),
        ("rank", pa.int8()),  # of equal rows the lowest is kept: test, validation, training, unlabelled
        ("source", pa.string()),
        ("row", pa.int64()),
    ]
)
FOUND_SCHEMA = pa.schema(
    [("shard", pa.int32()), ("position", pa.int32()), ("reason", pa.string()), ("detail", pa.string())]
)
_WHY = ("reason", "column", "detail")


def reasons(features: Sequence[FeatureSpec]) -> tuple[str, ...]:
    """Return every reason for which a row may be rejected, a source's problems aside: the first to be given first."""
    of_features = (reason for spec in features for reason in kind_of(spec).REASONS)
    return tuple(dict.fromkeys((*of_features, UNKNOWN_LABEL, CONFLICT, DUPLICATE)))


def quarantine_schema(features: Sequence[FeatureSpec]) -> pa.Schema:
    """Return the schema of rejected rows: raw rows, the detail at the end, with reason and column before it.

    `column` is the feature that the reason is about, or `label`; null if it is about the row.
    """
    raw = raw_schema(features)
    return pa.schema([*raw.remove(raw.get_field_index("detail")), *((name, pa.string()) for name in _WHY)])


def examine(table: pa.Table, shard: int, classes: int, features: Sequence[FeatureSpec]) -> tuple[pa.Table, pa.Table]:
    """Return the facts of a shard's raw rows, of FACTS_SCHEMA, and the usable ones as clean rows, both in order.

    `classes` is the number of declared classes: valid labels are 0 to `classes - 1`. Raises DataError if what a row
    holds does not match its digest.
    """
    delivered = {spec.name: kind_of(spec).raw_digests(spec, table) for spec in features}
    _require_digests(table, joined_digests(delivered))
    why = {name: np.full(table.num_rows, None, np.object_) for name in _WHY}
    every = np.arange(table.num_rows)
    _give(why, every, _objects(table["problem"]), None, _objects(table["detail"]))

    whole = np.flatnonzero(_is_none(why["reason"]))  # a row with a problem has no values
    rows = table if len(whole) == table.num_rows else table.take(pa.array(whole))
    columns: dict[str, Any] = {}
    held: dict[str, Sequence[str]] = {}
    for spec in features:
        found = kind_of(spec).examine(spec, rows, [delivered[spec.name][row] for row in whole])
        _give(why, whole, found.reasons, spec.name, found.details)
        held[spec.name] = found.held
        columns |= found.columns

    labels = table["label"]
    values = labels.fill_null(0).to_numpy()
    is_unlabelled = labels.is_null().to_numpy()
    told = np.full(table.num_rows, None, np.object_)
    told[~is_unlabelled & ((values < 0) | (values >= classes))] = UNKNOWN_LABEL
    texts = [text or str(value) for text, value in zip(table["detail"].to_pylist(), values.tolist(), strict=True)]
    _give(why, every, told, _LABEL, np.asarray(texts, np.object_))

    is_usable = _is_none(why["reason"])[whole]
    own = {name: rows[name] for name in ("id", "label", "part", "source", "row")}
    columns = {**own, "content_digest": joined_digests(held), **columns}
    clean = pa.table(columns, clean_schema(features))
    if not is_usable.all():
        clean = clean.filter(pa.array(is_usable))

    content = np.full(table.num_rows, None, np.object_)
    content[_is_none(why["reason"])] = _value_digests(clean, clean_names(features))
    ranks = np.asarray([_RANKS.get(part, _TRAIN) for part in table["part"].to_pylist()], np.int8)
    facts = {
        "shard": pa.array(np.full(table.num_rows, shard, np.int32)),
        "position": pa.array(every),
        **{name: pa.array(values, pa.string()) for name, values in why.items()},
        "content": pa.array(content, pa.string()),
        "label": labels,
        "rank": pa.array(np.where(is_unlabelled, _UNLABELLED, ranks).astype(np.int8)),
        "source": table["source"],
        "row": table["row"],
    }
    return pa.table(facts, FACTS_SCHEMA), clean


def _require_digests(table: pa.Table, found: Sequence[str]) -> None:
    for row, (digest, declared) in enumerate(zip(found, table["content_digest"].to_pylist(), strict=True)):
        if digest != declared:
            row_id = table["id"][row].as_py()
            raise DataError(f"data/raw: row {row_id}: its content does not match its digest; run stage ingest again")


def _give(
    why: dict[str, npt.NDArray[np.object_]],
    rows: npt.NDArray[np.intp],
    found: npt.NDArray[np.object_],
    column: str | None,
    details: npt.NDArray[np.object_],
) -> None:
    """Give rows, by their positions, what was found about them, unless they have a reason already."""
    is_new = _is_none(why["reason"][rows]) & ~_is_none(found)
    for name, values in (("column", np.full(len(rows), column, np.object_)), ("detail", details), ("reason", found)):
        why[name][rows[is_new]] = values[is_new]


def _value_digests(rows: pa.Table, names: Sequence[str]) -> list[str]:
    """Return a digest of each row's values, `[row]`."""
    digests = [hashlib.sha256() for _ in range(rows.num_rows)]
    for name in names:
        column = rows[name].to_pylist()
        for digest, value in zip(digests, column, strict=True):
            digest.update(value if isinstance(value, bytes) else repr(value).encode())
            digest.update(b"\0")
    return [digest.hexdigest() for digest in digests]


def _objects(column: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    return np.asarray(column.to_pylist(), np.object_).reshape(-1)


def _is_none(values: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    return np.array([value is None for value in values], np.bool_)


def compared(facts: DataFrame, *, classes: Sequence[str], is_test_given: bool) -> DataFrame:
    """Compare the rows of FACTS_SCHEMA that have no reason yet, and return those that get one, rows of FOUND_SCHEMA.

    If the test part `is_test_given`, its labels are those that equal rows are held against; otherwise all rows count
    alike. One shuffle, of digests and positions only.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as sql

    equal = Window.partitionBy("content")
    in_order = equal.orderBy("rank", "source", "row", "shard", "position")
    of_test = sql.when(sql.col("rank") == _TEST, sql.col("label")) if is_test_given else sql.lit(None).cast("int")
    lowest, highest = (sql.coalesce(end(of_test).over(equal), end("label").over(equal)) for end in (sql.min, sql.max))
    names = sql.array(*map(sql.lit, classes))
    labels = sql.transform(sql.sort_array(sql.collect_set("label").over(equal)), lambda n: sql.get(names, n))
    beside_equals = facts.where(sql.col("reason").isNull()).select(
        "shard",
        "position",
        sql.coalesce((lowest != highest) | (sql.col("label") != lowest), lowest != highest).alias("is_conflict"),
        sql.row_number().over(in_order).alias("number"),
        sql.concat_ws(", ", labels).alias("labels"),
        sql.first("source").over(in_order).alias("first_source"),
        sql.first("row").over(in_order).alias("first_row"),
    )
    is_conflict = sql.col("is_conflict")
    found = beside_equals.where(is_conflict | (sql.col("number") > 1))
    return found.select(
        "shard",
        "position",
        sql.when(is_conflict, sql.lit(CONFLICT)).otherwise(sql.lit(DUPLICATE)).alias("reason"),
        sql.when(is_conflict, sql.concat(sql.lit("equal rows are labelled "), "labels"))
        .otherwise(sql.concat(sql.lit("of "), "first_source", sql.lit(" row "), "first_row"))
        .alias("detail"),
    )


def separate(facts: pa.Table, found: pa.Table) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], pa.Table]:
    """Return which of a shard's usable rows are kept, which are held back, and the rejected rows' reasons.

    `facts` are those of the shard's raw rows, `found` its rows of FOUND_SCHEMA. The first two are `[usable row]`; the
    table has the position, the reason, the column and the detail of each rejected row, in order.
    """
    usable = np.flatnonzero(facts["reason"].is_null().to_numpy())
    is_found = np.isin(usable, found["position"].to_numpy())
    is_unlabelled = facts["label"].is_null().to_numpy()[usable]
    columns = [_LABEL if reason == CONFLICT else None for reason in found["reason"].to_pylist()]
    of_found = found.append_column("column", pa.array(columns, pa.string()))
    names = ["position", *_WHY]
    rejected = pa.concat_tables(
        [facts.filter(pc.is_valid(facts["reason"])).select(names), of_found.select(names)]
    ).sort_by("position")
    return ~is_found & ~is_unlabelled, ~is_found & is_unlabelled, rejected


def rejected_rows(table: pa.Table, rejected: pa.Table, features: Sequence[FeatureSpec]) -> pa.Table:
    """Return a shard's rejected rows as the quarantine holds them, from its raw rows and what `separate` says."""
    rows = table.take(rejected["position"]).drop_columns(["detail"])
    for name in _WHY:
        rows = rows.append_column(name, rejected[name])
    return rows.cast(quarantine_schema(features))
