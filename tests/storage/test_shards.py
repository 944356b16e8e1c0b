"""Prepared rows come back bit for bit, whatever the features, the shards and the row groups."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import Bug, DataError
from pipeline.records.feature import FeatureSpec
from pipeline.storage import shards
from pipeline.storage.manifests import read_manifest

PICTURE = FeatureSpec(
    name="picture", kind="image", dtype="uint8", shape=(3, 4, 1), facts={"picture_mean": "float32"}, fitted={"mean": []}
)
WEIGHT = FeatureSpec(name="weight", kind="number", dtype="float32", shape=())
CURVE = FeatureSpec(name="curve", kind="series", dtype="int32", shape=(5,))
FEATURES = (PICTURE, WEIGHT, CURVE)


def values(spec: FeatureSpec, rows: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (rows, *spec.shape)).astype(spec.dtype)


def write(folder: Path, shard_rows: list[int], features: tuple[FeatureSpec, ...] = FEATURES) -> dict[str, Any]:
    """Write shards of so many rows; return the values of all rows by feature."""
    schema = shards.prepared_schema(features)
    entries, written = [], []
    for number, rows in enumerate(shard_rows):
        columns = {spec.name: values(spec, rows, number) for spec in features}
        table: dict[str, Any] = {"id": [f"{number}-{row}" for row in range(rows)], "label": np.arange(rows) % 3}
        for spec in features:
            table |= {spec.name: shards.column_of(columns[spec.name], spec)}
            table |= {fact: np.zeros(rows, kind) for fact, kind in spec.facts.items()}
        entries.append(shards.write_shard(folder, number, schema, [pa.table(table).cast(schema)]))
        written.append(columns)
    shards.finish_dataset(folder, entries, schema, features=features)
    return {spec.name: np.concatenate([columns[spec.name] for columns in written]) for spec in features}


@settings(max_examples=20)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.permutations(FEATURES))
def test_rows_come_back_as_they_were(counts: list[int], features: list[FeatureSpec]) -> None:
    with tempfile.TemporaryDirectory() as name:
        written = write(Path(name), counts, tuple(features))
        read = shards.read_rows(Path(name))
    assert read.ids == [f"{number}-{row}" for number, count in enumerate(counts) for row in range(count)]
    assert len(read) == sum(counts)
    assert read.columns.keys() == written.keys()
    for spec in features:
        assert read.columns[spec.name].dtype == spec.dtype
        assert np.array_equal(read.columns[spec.name][:], written[spec.name])


def test_the_manifest_declares_the_features_with_what_was_fitted(tmp_path: Path) -> None:
    write(tmp_path, [2])
    manifest = read_manifest(tmp_path)
    assert manifest.features == FEATURES
    assert manifest.columns == {
        "id": "string",
        "label": "int32",
        "picture": "uint8[3,4,1]",
        "picture_mean": "float",
        "weight": "float32",
        "curve": "int32[5]",
    }


def test_the_same_rows_give_the_same_bytes_and_other_fitted_values_another_digest(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, [5], (PICTURE if name != "three" else PICTURE.changed(fitted={"mean": [1.0]}),))
    one, two, three = (read_manifest(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert one.files == three.files
    assert one.digest != three.digest


@pytest.mark.parametrize("spec", FEATURES, ids=lambda spec: spec.name)
def test_a_row_group_becomes_an_array_without_a_copy(tmp_path: Path, spec: FeatureSpec) -> None:
    written = write(tmp_path, [8])
    [table] = shards.iter_tables(tmp_path, [spec.name])
    view = shards.array_of(table[spec.name], spec)
    assert not view.flags.owndata
    assert np.array_equal(shards.array_of(table[spec.name].slice(2, 3), spec), written[spec.name][2:5])


def test_the_first_rows_are_there_for_an_example(tmp_path: Path) -> None:
    written = write(tmp_path, [8, 8])
    first = shards.first_rows(tmp_path, 3)
    assert first.keys() == written.keys()
    assert all(np.array_equal(first[name], written[name][:3]) for name in first)


def test_an_empty_data_set_has_no_rows(tmp_path: Path) -> None:
    shards.finish_dataset(tmp_path, [], shards.prepared_schema(FEATURES), features=FEATURES)
    rows = shards.read_rows(tmp_path)
    assert len(rows) == 0
    assert {name: column.shape for name, column in rows.columns.items()} == {
        "picture": (0, 3, 4, 1),
        "weight": (0,),
        "curve": (0, 5),
    }


def test_values_of_another_shape_than_declared_are_a_bug() -> None:
    with pytest.raises(Bug, match=r"feature curve: values of shape \(4,\), declared \(5,\)"):
        shards.column_of(np.zeros((2, 4), np.int32), CURVE)


def test_bytes_that_are_not_parquet_are_refused(tmp_path: Path) -> None:
    path = tmp_path / shards.shard_name(0)
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        list(shards.iter_shard(path))
