"""Which rows are kept, which are held back, and why each other row is rejected.

A row gets the first reason that applies: the source's problem with it, those of its features' kinds, then of its
label. These look at one row. The last two compare the rows that passed those: rows are equal when all of their
features are, as clean rows hold them. So a PNG equals the raw image it holds, and so do pictures that are the same once
they are resized.

Of exact duplicates (equal rows, same label) one is kept: a row of the source's test part before one of its validation
part before one of its training part, then the one with the lowest digest as it was delivered, then the lowest (source,
row). So no content is on both sides of a split, and which row is kept does not depend on the order of the source's
rows. Of equal rows with different labels none is kept, since nothing says which label is right.

Where the source's own test files are the test part, its rows are given: a training row that equals one is rejected,
whatever its label, and never takes a test row along. So the test rows stay the same however the training data grow.
Test rows that contradict each other are rejected, and with them every training row that equals them.

Where rows have roles, what they are called outside, their group and their time count as the features do: rows that
differ in one of them are not equal. `data.equal_rows` may keep equal rows, or those that contradict each other.

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

from pipeline.data.feature_kinds import (
    OF_CLASSES,
    Texts,
    clean_names,
    clean_schema,
    joined_digests,
    kind_of,
    raw_schema,
)
from pipeline.data.row_digests import leading_bits
from pipeline.errors import DataError
from pipeline.recipe.recipe import EqualRows
from pipeline.records.feature import FeatureSpec
from pipeline.storage.row_columns import RowColumns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

UNKNOWN_LABEL = "label outside the declared classes"
CONFLICT = "conflicting label"
DUPLICATE = "exact duplicate"

_LABEL = "label"  # the column that these are about
_RANKS = {"test": 0, "validation": 1}  # of equal rows the lowest is kept
_TEST, _TRAIN, _UNLABELLED = 0, 2, 3

_BOTH_REJECTED = EqualRows()


def facts_schema(own: RowColumns = OF_CLASSES) -> pa.Schema:
    """Return the schema of what the comparison needs to know about each row, without its values."""
    return pa.schema(
        [
            ("shard", pa.int32()),
            ("position", pa.int32()),  # row inside the shard
            ("reason", pa.string()),  # of the row by itself; null if there is none
            ("column", pa.string()),  # the feature that it is about, or `label`; null if it is about the row
            ("detail", pa.string()),
            ("content", pa.string()),  # digest of the clean values; null for a rejected row
            ("key", pa.int64()),  # its first 64 bits, which few rows share that are not equal
            ("label", own.label),
            ("rank", pa.int8()),  # of equal rows the lowest is kept: test, validation, training, unlabelled
            ("delivered", pa.int64()),  # then the lowest: the first 64 bits of the digest of the values as they came
            ("source", pa.string()),
            ("row", pa.int64()),
        ]
    )


FACTS_SCHEMA = facts_schema()
FOUND_SCHEMA = pa.schema(
    [("shard", pa.int32()), ("position", pa.int32()), ("reason", pa.string()), ("detail", pa.string())]
)
_WHY = ("reason", "column", "detail")
NEEDED_FACTS = ["position", "label", *_WHY]  # by which a shard's rows are separated


def reasons(features: Sequence[FeatureSpec]) -> tuple[str, ...]:
    """Return every reason for which a row may be rejected, a source's problems aside: the first to be given first."""
    of_features = (reason for spec in features for reason in kind_of(spec).REASONS)
    return tuple(dict.fromkeys((*of_features, UNKNOWN_LABEL, CONFLICT, DUPLICATE)))


def quarantine_schema(features: Sequence[FeatureSpec], own: RowColumns = OF_CLASSES) -> pa.Schema:
    """Return the schema of rejected rows: raw rows, the detail at the end, with reason and column before it.

    `column` is the feature that the reason is about, or `label`; null if it is about the row.
    """
    raw = raw_schema(features, own)
    return pa.schema([*raw.remove(raw.get_field_index("detail")), *((name, pa.string()) for name in _WHY)])


def examine(
    table: pa.Table, shard: int, classes: int, features: Sequence[FeatureSpec], own: RowColumns = OF_CLASSES
) -> tuple[pa.Table, pa.Table]:
    """Return the facts of a shard's raw rows, of `facts_schema`, and the usable ones as clean rows, both in order.

    As `understood`, and with what rows are compared by.
    """
    needed, clean = understood(table, classes, features, own)
    is_fine = needed["reason"].is_null().to_numpy()
    contents = _contents(clean, features, own)
    key = np.zeros(table.num_rows, np.int64)
    key[is_fine] = leading_bits(contents).view(np.int64)
    content = contents if is_fine.all() else _spread(contents, is_fine)
    parts = table["part"].dictionary_encode().combine_chunks()
    of_parts = [_RANKS.get(part, _TRAIN) for part in parts.dictionary.to_pylist()]
    ranks = np.asarray(of_parts, np.int8)[parts.indices.to_numpy()] if table.num_rows else np.empty(0, np.int8)
    is_unlabelled = table["label"].is_null().to_numpy()
    facts = {
        **{name: needed[name] for name in NEEDED_FACTS},
        "shard": pa.array(np.full(table.num_rows, shard, np.int32)),
        "content": content,
        "key": pa.array(key, mask=~is_fine),
        "rank": pa.array(np.where(is_unlabelled, _UNLABELLED, ranks).astype(np.int8)),
        "delivered": pa.array(leading_bits(table["content_digest"]).view(np.int64)),
        "source": table["source"],
        "row": table["row"],
    }
    return pa.table(facts, facts_schema(own)), clean


def understood(
    table: pa.Table, classes: int, features: Sequence[FeatureSpec], own: RowColumns = OF_CLASSES
) -> tuple[pa.Table, pa.Table]:
    """Return the NEEDED_FACTS of a shard's raw rows, and the usable ones as clean rows, both in order.

    `classes` is the number of declared classes: valid labels are 0 to `classes - 1`; without any they are numbers.
    Raises DataError if what a row holds does not match its digest.
    """
    roles = {name: table[name] for name in own.apart}
    delivered = {spec.name: kind_of(spec).raw_digests(spec, table) for spec in features}
    _require_digests(table, joined_digests(delivered, roles))
    why = {name: np.full(table.num_rows, None, np.object_) for name in _WHY}
    every = np.arange(table.num_rows)
    _give(why, every, _objects(table["problem"]), None, _objects(table["detail"]))

    whole = np.flatnonzero(_is_none(why["reason"]))  # a row with a problem has no values
    is_whole = len(whole) == table.num_rows
    rows = table if is_whole else table.take(pa.array(whole))
    columns: dict[str, Any] = {}
    held: dict[str, Texts] = {}
    for spec in features:
        digests = delivered[spec.name] if is_whole else _taken(delivered[spec.name], whole)
        found = kind_of(spec).examine(spec, rows, digests)
        _give(why, whole, found.reasons, spec.name, found.details)
        held[spec.name] = found.held
        columns |= found.columns

    labels = table["label"]
    is_unlabelled = labels.is_null().to_numpy()
    if not own.is_number:
        values = labels.fill_null(0).to_numpy()
        told = np.full(table.num_rows, None, np.object_)
        told[~is_unlabelled & ((values < 0) | (values >= classes))] = UNKNOWN_LABEL
        if told.any():
            numbered = zip(table["detail"].to_pylist(), values.tolist(), strict=True)
            texts = [text or str(value) for text, value in numbered]
            _give(why, every, told, _LABEL, np.asarray(texts, np.object_))

    is_fine = _is_none(why["reason"])
    is_usable = is_fine[whole]
    digests = joined_digests(held, {name: rows[name] for name in own.apart})
    of_row = {name: rows[name] for name in ("id", "label", "part", "source", "row", *own.roles)}
    clean = pa.table({**of_row, "content_digest": digests, **columns}, clean_schema(features, own))
    if not is_usable.all():
        clean = clean.filter(pa.array(is_usable))
    facts = {"position": pa.array(every), "label": labels, **{name: _texts(values) for name, values in why.items()}}
    schema = facts_schema(own)
    return pa.table(facts, pa.schema([schema.field(name) for name in NEEDED_FACTS])), clean


def _taken(texts: Texts, rows: npt.NDArray[np.intp]) -> Texts:
    return texts.take(pa.array(rows)) if isinstance(texts, pa.Array | pa.ChunkedArray) else [texts[row] for row in rows]


def _spread(values: pa.Array, is_there: npt.NDArray[np.bool_]) -> pa.Array:
    """Return the values at the rows that are marked, in order, and null at the others, `[row]`."""
    places = np.cumsum(is_there) - 1
    return values.take(pa.array(places, mask=~is_there))


def _texts(values: npt.NDArray[np.object_]) -> pa.Array:
    return pa.nulls(len(values), pa.string()) if _is_none(values).all() else pa.array(values, pa.string())


def _contents(clean: pa.Table, features: Sequence[FeatureSpec], own: RowColumns) -> pa.Array:
    """Return a digest of each row's values and of its roles, `[row]`.

    What stands in columns of fixed size, pictures, is compared as clean rows hold it; all else as it was understood.
    """
    names = clean_names(features)
    is_fixed = [pa.types.is_fixed_size_binary(clean.schema.field(name).type) for name in names]
    if not any(is_fixed):
        return clean["content_digest"].combine_chunks()
    return joined_digests({"": _value_digests(clean, names)}, {name: clean[name] for name in own.apart})


def _require_digests(table: pa.Table, found: pa.Array) -> None:
    is_other = pc.not_equal(table["content_digest"], found)
    if pc.any(is_other).as_py():
        row_id = table["id"].filter(is_other)[0].as_py()
        raise DataError(f"data/raw: row {row_id}: its content does not match its digest; run stage ingest again")


def _give(
    why: dict[str, npt.NDArray[np.object_]],
    rows: npt.NDArray[np.intp],
    found: npt.NDArray[np.object_],
    column: str | None,
    details: npt.NDArray[np.object_],
) -> None:
    """Give rows, by their positions, what was found about them, unless they have a reason already."""
    if not (is_found := ~_is_none(found)).any():
        return
    is_new = _is_none(why["reason"][rows]) & is_found
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
    if column.null_count == len(column):
        return np.full(len(column), None, np.object_)
    return np.asarray(column.to_pylist(), np.object_).reshape(-1)


def _is_none(values: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = values == None  # noqa: E711 - of each element
    return found


def compared(
    facts: DataFrame,
    *,
    classes: Sequence[str],
    is_test_given: bool,
    equal_rows: EqualRows = _BOTH_REJECTED,
) -> DataFrame:
    """Compare the rows of `facts_schema` that have no reason yet, and return those that get one, rows of FOUND_SCHEMA.

    If the test part `is_test_given`, its labels are those that equal rows are held against; otherwise all rows count
    alike. One shuffle, of digests and positions only.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as sql

    equal = Window.partitionBy("content")
    by_rank = ("rank", "delivered", "source", "row", "shard", "position")
    in_order = equal.orderBy(*by_rank)
    # Where rows that contradict each other are kept, those of each target are duplicates of each other.
    alike = equal if equal_rows.conflicts == "reject" else Window.partitionBy("content", "label")
    nothing = sql.lit(None).cast("int" if classes else "double")
    of_test = sql.when(sql.col("rank") == _TEST, sql.col("label")) if is_test_given else nothing
    lowest, highest = (sql.coalesce(end(of_test).over(equal), end("label").over(equal)) for end in (sql.min, sql.max))
    labels = sql.sort_array(sql.collect_set("label").over(equal))
    if classes:
        names = sql.array(*map(sql.lit, classes))
        labels = sql.transform(labels, lambda n: sql.get(names, n))
    is_conflict = sql.coalesce((lowest != highest) | (sql.col("label") != lowest), lowest != highest)
    is_told_elsewhere = sql.col("label").isNull() & sql.max(sql.col("label").isNotNull()).over(equal)
    beside_equals = facts.where(sql.col("reason").isNull()).select(
        "shard",
        "position",
        is_told_elsewhere.alias("is_told_elsewhere"),
        (is_conflict if equal_rows.conflicts == "reject" else sql.lit(False)).alias("is_conflict"),
        sql.row_number().over(alike.orderBy(*by_rank)).alias("number"),
        sql.concat_ws(", ", labels.cast("array<string>")).alias("labels"),
        (sql.col("rank") > sql.min("rank").over(equal)).alias("is_in_a_lesser_part"),
        *(
            sql.when(is_told_elsewhere, sql.first(name).over(in_order))
            .otherwise(sql.first(name).over(alike.orderBy(*by_rank)))
            .alias(f"first_{name}")
            for name in ("source", "row")
        ),
    )
    is_conflict = sql.col("is_conflict")
    is_repeated = sql.col("is_told_elsewhere")  # a row that is held back, and has its target here
    if equal_rows.duplicates == "reject":
        is_repeated = is_repeated | (sql.col("number") > 1)
        if is_test_given:  # rows whose targets differ stay in one part, too
            is_repeated = is_repeated | sql.col("is_in_a_lesser_part")
    found = beside_equals.where(is_conflict | is_repeated)
    what = "labelled" if classes else "given"
    return found.select(
        "shard",
        "position",
        sql.when(is_conflict, sql.lit(CONFLICT)).otherwise(sql.lit(DUPLICATE)).alias("reason"),
        sql.when(is_conflict, sql.concat(sql.lit(f"equal rows are {what} "), "labels"))
        .otherwise(sql.concat(sql.lit("of "), "first_source", sql.lit(" row "), "first_row"))
        .alias("detail"),
    )


def in_question(keys: Sequence[npt.NDArray[np.int64]]) -> list[npt.NDArray[np.bool_]]:
    """Return which rows may equal another one, `[row]` for each array of keys: all others need not be compared."""
    every = np.sort(np.concatenate([*keys, np.empty(0, np.int64)]))
    shared = np.unique(every[1:][every[1:] == every[:-1]])
    del every
    places = (np.minimum(np.searchsorted(shared, of_shard), len(shared) - 1) for of_shard in keys)
    return [
        shared[at] == of_shard if len(shared) else np.zeros(len(of_shard), np.bool_)
        for at, of_shard in zip(places, keys, strict=True)
    ]


def separate(facts: pa.Table, found: pa.Table) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], pa.Table]:
    """Return which of a shard's usable rows are kept, which are held back, and the rejected rows' reasons.

    `facts` are the NEEDED_FACTS of the shard's raw rows, `found` its rows of FOUND_SCHEMA. The first two are
    `[usable row]`; the table has the position, the reason, the column and the detail of each rejected row, in order.
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


def rejected_rows(
    table: pa.Table, rejected: pa.Table, features: Sequence[FeatureSpec], own: RowColumns = OF_CLASSES
) -> pa.Table:
    """Return a shard's rejected rows as the quarantine holds them, from its raw rows and what `separate` says."""
    rows = table.take(rejected["position"]).drop_columns(["detail"])
    for name in _WHY:
        rows = rows.append_column(name, rejected[name])
    return rows.select(quarantine_schema(features, own).names).cast(quarantine_schema(features, own))
