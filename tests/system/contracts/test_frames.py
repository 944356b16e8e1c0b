"""The tables of contracts over features of any type, on real Spark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.contracts import frames
from pipeline.data.augmenting import augmented_schema
from pipeline.records.feature import FeatureSpec
from pipeline.storage import shards

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FEATURES = (
    FeatureSpec(name="curve", kind="series", dtype="int32", shape=(3,), facts={"curve_mean": "float32"}),
    FeatureSpec(name="weight", kind="number", dtype="float32", shape=()),
    FeatureSpec(name="age", kind="number", dtype="uint8", shape=()),
    FeatureSpec(name="count", kind="number", dtype="int64", shape=()),
)
CURVES = {"a": [1, 2, 3], "b": [4, 5, 6], "c": [7, 8, 9]}


def write_part(folder: Path, rows: dict[str, tuple[str, float]], sources: list[str] | None = None) -> frames.Dataset:
    """Write rows as `{id: (curve, weight)}`; with sources, as augmented ones."""
    folder.mkdir(parents=True)
    schema = shards.prepared_schema(FEATURES) if sources is None else augmented_schema(FEATURES)
    columns: dict[str, Any] = {
        "id": pa.array(list(rows), pa.string()),
        "label": pa.array([0] * len(rows), pa.int32()),
        "curve": shards.column_of(np.array([CURVES[curve] for curve, _ in rows.values()]).reshape(-1, 3), FEATURES[0]),
        "curve_mean": pa.array([0.5] * len(rows), pa.float32()),
        "weight": pa.array([weight for _, weight in rows.values()], pa.float32()),
        "age": pa.array([200] * len(rows), pa.uint8()),
        "count": pa.array([7] * len(rows), pa.int64()),
    }
    if sources is not None:
        columns |= {"copy": pa.array([1] * len(rows), pa.int32()), "source_id": pa.array(sources, pa.string())}
    entries = [shards.write_shard(folder, 0, schema, [pa.table(columns, schema)])] if rows else []
    shards.finish_dataset(folder, entries, schema, features=FEATURES)
    return frames.open_part(folder)


@pytest.fixture
def table(spark: SparkSession, tmp_path: Path) -> DataFrame:
    parts = {
        "train": write_part(tmp_path / "train", {"1": ("a", 1.0), "2": ("b", 2.0)}),
        "validation": write_part(tmp_path / "validation", {}),
        "test": write_part(tmp_path / "test", {"3": ("a", 9.0), "4": ("b", 2.0)}),
        "augmented": write_part(tmp_path / "augmented", {"1-1": ("c", 1.0), "2-1": ("b", 2.0)}, ["1", "2"]),
    }
    return frames.prepared_frame(spark, parts)


def test_numbers_stay_themselves_and_arrays_are_their_size(table: DataFrame) -> None:
    [row] = [row for row in table.collect() if row["id"] == "3"]
    assert (row["weight"], row["age"], row["count"], row["curve_bytes"], row["curve_mean"]) == (9.0, 200, 7, 12, 0.5)
    assert "curve" not in table.columns


def test_a_row_is_in_several_parts_only_if_all_of_its_features_are(table: DataFrame) -> None:
    parts_with_row = {row["id"]: row["parts_with_row"] for row in table.collect()}
    assert parts_with_row == {"1": 1, "2": 2, "3": 1, "4": 2, "1-1": 1, "2-1": 2}


def test_a_copy_is_told_by_the_part_of_its_source(table: DataFrame) -> None:
    found = {row["id"]: (row["part"], row["copy"], row["source_part"]) for row in table.collect()}
    assert found["1-1"] == ("augmented", 1, "train")
    assert found["1"] == ("train", None, None)


def test_parts_without_rows_make_a_table_without_rows(spark: SparkSession, tmp_path: Path) -> None:
    parts = {part: write_part(tmp_path / part, {}) for part in ("train", "validation", "test")}
    parts["augmented"] = write_part(tmp_path / "augmented", {}, [])
    table = frames.prepared_frame(spark, parts)
    assert table.count() == 0
    assert table.columns == list(frames.prepared_columns(parts))


def test_copies_of_two_labels_show_the_other_one_and_its_share_and_other_rows_none(
    spark: SparkSession, tmp_path: Path
) -> None:
    parts = {part: write_part(tmp_path / part, {"1": ("a", 1.0)}) for part in ("train", "validation", "test")}
    folder = tmp_path / "augmented"
    write_part(folder, {"1-1": ("c", 1.0)}, ["1"])
    [table] = shards.iter_tables(folder)
    schema = augmented_schema(FEATURES, is_mixed=True)
    columns = {name: table[name] for name in table.column_names}
    mixed = pa.table({**columns, "other_label": pa.array([2], pa.int32()), "share": pa.array([0.25], pa.float32())})
    entry = shards.write_shard(folder, 0, schema, [mixed.select(schema.names)])
    shards.finish_dataset(folder, [entry], schema, features=FEATURES)
    parts["augmented"] = frames.open_part(folder)

    frame = frames.prepared_frame(spark, parts)
    assert frame.columns == list(frames.prepared_columns(parts))
    found = {row["id"]: (row["other_label"], row["share"]) for row in frame.collect()}
    assert found == {"1-1": (2, 0.25), "1": (None, None)}
