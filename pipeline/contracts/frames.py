"""The tables that contracts are about: narrow, made from what the manifests declare, with what Spark itself derives.

Payloads never reach Python and are dropped; what remains is their size, and for prepared rows a hash by which rows that
are in several parts are found. A feature that is a single number stays itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline.contracts.values import ROWS_AT_MOST
from pipeline.errors import DataError
from pipeline.records.manifest import Manifest
from pipeline.storage import shards
from pipeline.storage.manifests import read_manifest
from pipeline.storage.row_columns import RowColumns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TRAIN, VALIDATION, TEST, AUGMENTED = "train", "validation", "test", "augmented"
PARTS = (TRAIN, VALIDATION, TEST, AUGMENTED)

_RAW = {"id": "string", "label": "int32", "part": "string", "source": "string", "row": "int64"}
_RAW |= {"content_digest": "string", "problem": "string", "detail": "string"}
_PAYLOAD = "binary"


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
    """Check the manifest of `data/raw`, and the columns that every raw row has; raise DataError if wrong."""
    dataset = Dataset(folder, read_manifest(folder))
    own = RowColumns.found(dataset.manifest.columns)
    _check_columns(dataset, {**_RAW, "label": str(own.label)})
    return dataset


def open_part(folder: Path) -> Dataset:
    """Check the manifest of a prepared part or of `data/augmented`, and its columns; raise DataError if wrong."""
    dataset = Dataset(folder, read_manifest(folder))
    features, own = dataset.manifest.features, RowColumns.found(dataset.manifest.columns)
    if not features:
        raise DataError(f"{folder}: its manifest declares no features; make it again")
    _check_columns(dataset, shards.describe_schema(shards.prepared_schema(features, own), features))
    return dataset


def raw_columns(raw: Dataset) -> tuple[str, ...]:
    """Return the columns of `raw_frame`: those of raw rows, `<name>_bytes` at the end for each payload `<name>`."""
    kinds = raw.manifest.columns
    plain = [name for name, kind in kinds.items() if kind != _PAYLOAD]
    return (*plain, *(f"{name}_bytes" for name, kind in kinds.items() if kind == _PAYLOAD))


def prepared_columns(parts: Mapping[str, Dataset]) -> tuple[str, ...]:
    """Return the columns of `prepared_frame`; `parts` are as it takes them. Raises DataError if they differ."""
    return (
        "id",
        "label",
        *_described(parts),
        "part",  # train, validation, test or augmented
        "copy",  # an augmented row's number among the copies of its source; null for others
        "source_id",  # the row that an augmented one was made from; null for others
        *_mixed(parts),  # of augmented rows with two labels: the other one, and the share of `label`; null for others
        "source_part",  # the part that holds source_id, or `several` or `none`; null for rows that are not augmented
        "parts_with_row",  # how many parts hold these very feature values, augmented ones counted as training
    )


def raw_frame(spark: SparkSession, raw: Dataset) -> DataFrame:
    """Return `data/raw` with the columns `raw_columns`."""
    from pyspark.sql import functions

    frame = _read(spark, raw)
    for name, kind in raw.manifest.columns.items():
        if kind == _PAYLOAD:
            frame = frame.withColumn(f"{name}_bytes", functions.octet_length(name))
    return frame.select(*raw_columns(raw))


def prepared_frame(spark: SparkSession, parts: Mapping[str, Dataset]) -> DataFrame:
    """Return all parts as one table with the columns `prepared_columns`; `parts` maps PARTS to data sets.

    A large one is persisted, because every read would join the parts again; of a small one the check fetches once what
    it counts. Raises DataError if parts differ in their features.
    """
    from functools import reduce

    from pyspark.sql import DataFrame, functions

    columns = prepared_columns(parts)
    frames = []
    for part, dataset in parts.items():
        frame = _read(spark, dataset)
        features = dataset.manifest.features
        sizes = [functions.octet_length(spec.name).alias(f"{spec.name}_bytes") for spec in features if spec.shape]
        copied = [
            (functions.col(name) if part == AUGMENTED and name in frame.columns else functions.lit(None))
            .cast(frame_type)
            .alias(name)
            for name, frame_type in (("copy", "int"), ("source_id", "string"), *_mixed(parts).items())
        ]
        frames.append(
            frame.select(
                "id",
                "label",
                *(name for name in _described(parts) if name in frame.columns),
                functions.lit(part).alias("part"),
                *copied,
                *sizes,
                # 64 bits: among a million rows, two different ones collide with a probability of 3e-8.
                functions.xxhash64(*(spec.name for spec in features)).alias("values_hash"),
            )
        )
    frame = reduce(DataFrame.unionByName, frames)
    table = _with_source_part(_with_parts_of_row(frame)).select(*columns)
    rows = sum(dataset.manifest.rows for dataset in parts.values())
    return table.persist() if rows > ROWS_AT_MOST else table


def _mixed(parts: Mapping[str, Dataset]) -> dict[str, str]:
    """Return the columns, with their types, that augmented rows have where a step lays rows over each other."""
    columns = parts[AUGMENTED].manifest.columns if AUGMENTED in parts else {}
    return {name: kind for name, kind in (("other_label", "int"), ("share", "float")) if name in columns}


def _described(parts: Mapping[str, Dataset]) -> list[str]:
    """Return what a table holds of the features: their facts, the size of arrays, and numbers as they are."""
    features = next(iter(parts.values())).manifest.features
    for dataset in parts.values():
        if dataset.manifest.features != features:
            raise DataError(f"{dataset.folder}: its features are not those of the other parts; make it again")
    names: list[str] = []
    for spec in features:
        names += [*spec.facts, f"{spec.name}_bytes" if spec.shape else spec.name]
    return names


def _with_parts_of_row(frame: DataFrame) -> DataFrame:
    from pyspark.sql import functions

    origin = functions.when(functions.col("part") == AUGMENTED, TRAIN).otherwise(functions.col("part"))
    shared = (
        frame.groupBy("values_hash")
        .agg(functions.count_distinct(origin).cast("int").alias("parts_with_row"))
        .filter("parts_with_row > 1")
    )
    return frame.join(shared, "values_hash", "left").withColumn(
        "parts_with_row", functions.coalesce("parts_with_row", functions.lit(1))
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


def _read(spark: SparkSession, dataset: Dataset) -> DataFrame:
    from pyspark.sql.pandas.types import from_arrow_schema

    schema = from_arrow_schema(pa.schema(_plain_fields(dataset.manifest)))
    # With a schema, Spark opens no file to find one; that of the manifest has been checked.
    return spark.read.schema(schema).parquet(*dataset.paths) if dataset.paths else spark.createDataFrame([], schema)


def _plain_fields(manifest: Manifest) -> Iterator[pa.Field]:
    """Yield a data set's columns as Spark reads them: arrays as bytes, unsigned numbers with a sign."""
    for name, kind in manifest.columns.items():
        if kind.endswith("]"):
            yield pa.field(name, pa.binary())
        else:
            yield pa.field(name, pa.int16() if kind == "uint8" else pa.type_for_alias(kind))


def _check_columns(dataset: Dataset, expected: Mapping[str, str]) -> None:
    found = dataset.manifest.columns
    for name, kind in expected.items():
        if found.get(name) != kind:
            raise DataError(
                f"{dataset.folder}: column '{name}' is {found.get(name, 'missing')}, expected {kind}; make it again"
            )
