"""Prepared images come back bit for bit, whatever the shards and row groups."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.records.manifest import Manifest
from pipeline.storage import shards
from pipeline.storage.manifests import read_manifest


def write(folder: Path, images: list[np.ndarray], shape: shards.Shape) -> None:
    schema = shards.image_schema(shape)
    entries = []
    for number, pixels in enumerate(images):
        count = len(pixels)
        table = pa.table(
            {
                "id": [f"{number}-{row}" for row in range(count)],
                "label": pa.array(np.arange(count) % 3, pa.int32()),
                "pixels": shards.pixel_column(pixels),
                "pixel_mean": pa.array(pixels.reshape(count, -1).mean(1), pa.float32()),
                "pixel_std": pa.array(pixels.reshape(count, -1).std(1), pa.float32()),
            }
        )
        entries.append(shards.write_shard(folder, number, schema, [table]))
    shards.finish_dataset(folder, entries, schema, shape=shape)


@settings(max_examples=20)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.sampled_from([(3, 4, 1), (2, 2, 3)]), st.integers(0, 9))
def test_images_come_back_as_they_were(counts: list[int], shape: shards.Shape, seed: int) -> None:
    random = np.random.default_rng(seed)
    images = [random.integers(0, 256, (count, *shape), np.uint8) for count in counts]
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), images, shape)
        read = shards.read_images(Path(name))
    assert np.array_equal(read.pixels, np.concatenate(images))
    assert read.ids == [f"{number}-{row}" for number, count in enumerate(counts) for row in range(count)]


@pytest.mark.parametrize("shape", [(3, 4, 1), (2, 2, 3)])
def test_the_manifest_declares_the_shape(tmp_path: Path, shape: shards.Shape) -> None:
    write(tmp_path, [np.zeros((2, *shape), np.uint8)], shape)
    assert shards.image_shape(read_manifest(tmp_path)) == shape


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    images = [np.full((5, 2, 2, 1), 7, np.uint8)]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, images, (2, 2, 1))
    assert read_manifest(tmp_path / "one") == read_manifest(tmp_path / "two")


def test_a_row_group_becomes_an_array_without_a_copy(tmp_path: Path) -> None:
    write(tmp_path, [np.arange(8 * 4, dtype=np.uint8).reshape(8, 2, 2, 1)], (2, 2, 1))
    [table] = shards.iter_tables(tmp_path, ["pixels"])
    view = shards.pixels_of(table["pixels"], (2, 2, 1))
    assert not view.flags.owndata
    assert np.array_equal(shards.pixels_of(table["pixels"].slice(2, 3), (2, 2, 1)), view[2:5])


def test_an_empty_data_set_has_no_images(tmp_path: Path) -> None:
    shards.finish_dataset(tmp_path, [], shards.image_schema((2, 2, 1)), shape=(2, 2, 1))
    assert shards.read_images(tmp_path).pixels.shape == (0, 2, 2, 1)


@pytest.mark.parametrize("declared", ["", "uint8[28]", "float[1,2,3]", "uint8[a,b,c]"])
def test_a_manifest_without_an_image_shape_is_refused(declared: str) -> None:
    with pytest.raises(DataError, match="column pixels"):
        shards.image_shape(Manifest(rows=0, files=(), columns={"pixels": declared}))


def test_bytes_that_are_not_parquet_are_refused(tmp_path: Path) -> None:
    path = tmp_path / shards.shard_name(0)
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        list(shards.iter_shard(path))
