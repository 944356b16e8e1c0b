"""The tables that contracts are about: narrow, with facts about the pixels derived by Spark itself.

Payloads never reach Python and are dropped; what remains is their size, and for prepared images a hash by which images
that are in several parts are found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline.errors import DataError
from pipeline.records.manifest import Manifest
from pipeline.storage import shards
from pipeline.storage.manifests import read_manifest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TRAIN, VALIDATION, TEST, AUGMENTED = "train", "validation", "test", "augmented"
PARTS = (TRAIN, VALIDATION, TEST, AUGMENTED)

RAW_COLUMNS = (*(name for name in shards.RAW_SCHEMA.names if name != "payload"), "payload_bytes")
PREPARED_COLUMNS = (
    "id",
    "label",
    "pixel_mean",
    "pixel_std",
    "part",  # train, validation, test or augmented
    "copy",  # an augmented image's number among the copies of its source; null for others
    "source_id",  # the image that an augmented one was made from; null for others
    "pixels_bytes",
    "source_part",  # the part that holds source_id, or `several` or `none`; null for images that are not augmented
    "parts_with_pixels",  # how many parts hold these very pixels, augmented ones counted as training
)


@dataclass(frozen=True)
class Dataset:
    """A published data set whose manifest and digests have been checked."""

    folder: Path
    manifest: Manifest

    @property
    def paths(self) -> list[str]:
        """The shards that hold rows, in the manifest's order. Files that it does not list are not read."""
        return [str(self.folder / entry.path) for entry in self.manifest.files if entry.rows]


def open_raw(folder: Path) -> Dataset:
    """Check the manifest of `data/raw` and its columns, those of `shards.RAW_SCHEMA`; raise DataError if wrong."""
    dataset = Dataset(folder, read_manifest(folder))
    _check_columns(dataset, shards.describe_schema(shards.RAW_SCHEMA))
    return dataset


def open_part(folder: Path) -> Dataset:
    """Check the manifest of a prepared part or of `data/augmented`, and its columns; raise DataError if wrong."""
    dataset = Dataset(folder, read_manifest(folder))
    shape = shards.image_shape(dataset.manifest)
    _check_columns(dataset, shards.describe_schema(shards.image_schema(shape), shape))
    return dataset


def raw_frame(spark: SparkSession, raw: Dataset) -> DataFrame:
    """Return `data/raw` with the columns RAW_COLUMNS."""
    from pyspark.sql import functions

    frame = _read(spark, raw, shards.RAW_SCHEMA)
    return frame.withColumn("payload_bytes", functions.octet_length("payload")).select(*RAW_COLUMNS)


def prepared_frame(spark: SparkSession, parts: Mapping[str, Dataset]) -> DataFrame:
    """Return all parts as one table with the columns PREPARED_COLUMNS; `parts` maps PARTS to data sets.

    It is persisted, because every read would join the parts again.
    """
    from functools import reduce

    from pyspark.sql import DataFrame, functions

    frames = []
    for part, dataset in parts.items():
        frame = _read(spark, dataset, shards.image_schema(shards.image_shape(dataset.manifest)))
        has_source = part == AUGMENTED and "source_id" in frame.columns
        frames.append(
            frame.select(
                "id",
                "label",
                "pixel_mean",
                "pixel_std",
                functions.lit(part).alias("part"),
                (functions.col("copy") if has_source else functions.lit(None)).cast("int").alias("copy"),
                (functions.col("source_id") if has_source else functions.lit(None)).cast("string").alias("source_id"),
                functions.octet_length("pixels").alias("pixels_bytes"),
                # 64 bits: among a million images, two different ones collide with a probability of 3e-8.
                functions.xxhash64("pixels").alias("pixels_hash"),
            )
        )
    frame = reduce(DataFrame.unionByName, frames)
    return _with_source_part(_with_parts_of_pixels(frame)).select(*PREPARED_COLUMNS).persist()


def _with_parts_of_pixels(frame: DataFrame) -> DataFrame:
    from pyspark.sql import functions

    origin = functions.when(functions.col("part") == AUGMENTED, TRAIN).otherwise(functions.col("part"))
    shared = (
        frame.groupBy("pixels_hash")
        .agg(functions.count_distinct(origin).cast("int").alias("parts_with_pixels"))
        .filter("parts_with_pixels > 1")
    )
    return frame.join(shared, "pixels_hash", "left").withColumn(
        "parts_with_pixels", functions.coalesce("parts_with_pixels", functions.lit(1))
    )


def _with_source_part(frame: DataFrame) -> DataFrame:
    from pyspark.sql import functions

    first, last = functions.min("part"), functions.max("part")
    sources = (
        frame.filter(functions.col("part") != AUGMENTED)
        .groupBy(functions.col("id").alias("source_id"))
        .agg(functions.when(first == last, first).otherwise("several").alias("source_part"))
    )
    found = functions.coalesce(functions.col("source_part"), functions.lit("none"))
    return frame.join(sources, "source_id", "left").withColumn(
        "source_part", functions.when(functions.col("part") == AUGMENTED, found)
    )


def _read(spark: SparkSession, dataset: Dataset, schema: pa.Schema) -> DataFrame:
    from pyspark.sql.pandas.types import from_arrow_schema

    if dataset.paths:
        return spark.read.parquet(*dataset.paths)
    plain = pa.schema(
        [(entry.name, pa.binary() if pa.types.is_fixed_size_binary(entry.type) else entry.type) for entry in schema]
    )
    return spark.createDataFrame([], from_arrow_schema(plain))


def _check_columns(dataset: Dataset, expected: Mapping[str, str]) -> None:
    found = dataset.manifest.columns
    for name, kind in expected.items():
        if found.get(name) != kind:
            raise DataError(
                f"{dataset.folder}: column '{name}' is {found.get(name, 'missing')}, expected {kind}; make it again"
            )
