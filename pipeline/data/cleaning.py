"""Which rows are kept, and why each other row is rejected.

A row gets the first reason that applies, in the order of REASONS. The first three look at one row. The last two compare
the rows that passed those: images are equal when their decoded pixels are, so a PNG equals the raw image it holds.

Of exact duplicates (equal image, same label) one is kept: a row of the source's test part before one of its training
part, then the lowest (source, row). So no image is on both sides of a split, and the training part loses the duplicate:
the test rows stay the same however the training data grow. Of equal images with different labels none is kept, since
nothing says which label is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.data.decoding import ENCODINGS, decode_picture
from pipeline.data.identity import payload_digests, payload_views, shape_digest
from pipeline.errors import DataError
from pipeline.storage.shards import RAW_SCHEMA, Shape

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

UNREADABLE = "unreadable"
WRONG_SIZE = "wrong size"
UNKNOWN_LABEL = "label outside the declared classes"
CONFLICT = "conflicting label"
DUPLICATE = "exact duplicate"
REASONS = (UNREADABLE, WRONG_SIZE, UNKNOWN_LABEL, CONFLICT, DUPLICATE)

QUARANTINE_SCHEMA = RAW_SCHEMA.append(pa.field("reason", pa.string()))

# What the comparison needs to know about each row, without its payload.
FACTS_SCHEMA = pa.schema(
    [
        ("shard", pa.int32()),
        ("position", pa.int32()),  # row inside the shard
        ("reason", pa.string()),  # of the row by itself; null if there is none
        ("image_digest", pa.string()),  # of the decoded pixels; for a rejected row a unique text
        ("label", pa.int32()),
        ("is_training", pa.bool_()),  # false sorts first: the test row is kept
        ("source", pa.string()),
        ("row", pa.int64()),
    ]
)
REJECTED_SCHEMA = pa.schema([("shard", pa.int32()), ("position", pa.int32()), ("reason", pa.string())])


def examine(table: pa.Table, shard: int, classes: int, image: Shape) -> pa.Table:
    """Return the facts of a shard's raw rows, one row of FACTS_SCHEMA each.

    `classes` is the number of declared classes: valid labels are 0 to `classes - 1`. Raises DataError if a payload does
    not match its digest.
    """
    digests = payload_digests(table)
    for row, (found, declared) in enumerate(zip(digests, table["payload_digest"].to_pylist(), strict=True)):
        if found != declared:
            row_id = table["id"][row].as_py()
            raise DataError(f"data/raw: row {row_id}: its payload does not match its digest; run stage ingest again")
    reasons, image_digests = _readability(table, digests, image)
    labels = table["label"].to_numpy(zero_copy_only=False)
    is_known = (labels >= 0) & (labels < classes)  # a missing label is NaN and fails both
    reasons = np.where((reasons == None) & ~is_known, UNKNOWN_LABEL, reasons)  # noqa: E711 - element by element
    for position in np.flatnonzero(reasons != None):  # noqa: E711
        image_digests[position] = f"{shard}:{position}"
    columns = {
        "shard": pa.array(np.full(table.num_rows, shard, np.int32)),
        "position": pa.array(np.arange(table.num_rows, dtype=np.int32)),
        "reason": pa.array(reasons, pa.string()),
        "image_digest": pa.array(image_digests, pa.string()),
        "label": table["label"],
        "is_training": pa.array([part != "test" for part in table["part"].to_pylist()]),
        "source": table["source"],
        "row": table["row"],
    }
    return pa.table(columns, FACTS_SCHEMA)


def _readability(
    table: pa.Table, digests: Sequence[str], image: Shape
) -> tuple[npt.NDArray[np.object_], list[str | None]]:
    """Return each row's reason (unreadable, wrong size, None) and its image digest."""
    reasons = np.full(table.num_rows, None, np.object_)
    image_digests: list[str | None] = list(digests)
    shapes = np.stack([table[name].fill_null(0).to_numpy() for name in ("height", "width", "channels")], axis=1).astype(
        np.int64
    )
    views = payload_views(table["payload"])
    sizes = np.fromiter((len(view) for view in views), np.int64, len(views))
    encodings = np.asarray(table["encoding"].to_pylist(), np.object_)
    # Python's integers: the product of three declared sides may exceed 64 bits.
    declared = np.prod(shapes.astype(np.object_), axis=1, initial=1)
    is_raw = encodings == "raw"
    reasons[(is_raw & (sizes != declared)) | (sizes == 0) | ~np.isin(encodings, ENCODINGS)] = UNREADABLE
    is_wrong_size = (shapes != np.asarray(image)).any(axis=1)
    reasons[(reasons == None) & is_wrong_size] = WRONG_SIZE  # noqa: E711 - element by element
    for row in np.flatnonzero((reasons == None) & ~is_raw):  # noqa: E711
        pixels = decode_picture(views[row], encodings[row], image)
        if pixels is None:
            reasons[row] = UNREADABLE
        else:
            image_digests[row] = shape_digest(*image, pixels.tobytes())
    return reasons, image_digests


def rejected_rows(facts: DataFrame) -> DataFrame:
    """Compare the rows of FACTS_SCHEMA and return those that are not kept, rows of REJECTED_SCHEMA.

    One shuffle, of digests and positions only.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as sql

    equal = Window.partitionBy("image_digest")
    in_order = equal.orderBy("is_training", "source", "row", "shard", "position")
    compared = facts.select(
        "shard",
        "position",
        "reason",
        (sql.min("label").over(equal) != sql.max("label").over(equal)).alias("is_conflict"),
        sql.row_number().over(in_order).alias("rank"),
    )
    reason = (
        sql.when(sql.col("reason").isNotNull(), sql.col("reason"))
        .when(sql.col("is_conflict"), sql.lit(CONFLICT))
        .when(sql.col("rank") > 1, sql.lit(DUPLICATE))
    )
    return compared.select("shard", "position", reason.alias("reason")).where(sql.col("reason").isNotNull())


def separate(table: pa.Table, positions: npt.NDArray[np.int32], reasons: Sequence[str]) -> tuple[pa.Table, pa.Table]:
    """Divide a shard's raw rows into the kept ones (RAW_SCHEMA) and the rejected ones (QUARANTINE_SCHEMA), in order."""
    is_kept = np.ones(table.num_rows, np.bool_)
    is_kept[positions] = False
    reason_of = dict(zip(positions.tolist(), reasons, strict=True))
    rejected = table.filter(pa.array(~is_kept))
    why = pa.array([reason_of[position] for position in np.flatnonzero(~is_kept).tolist()], pa.string())
    return table.filter(pa.array(is_kept)), rejected.append_column("reason", why)
