"""The pictures that the benchmark makes, how it takes them in, and how it compares what others make of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchmarks import pictures
from pipeline.storage.shards import iter_tables


def test_pictures_are_of_mixed_sizes_formats_and_modes_and_the_same_every_time() -> None:
    made = [pictures.picture(number) for number in range(40)]
    assert made == [pictures.picture(number) for number in range(40)]
    assert len({content for _, content in made}) == 40
    opened = [Image.open(io.BytesIO(content)) for _, content in made]
    assert {(picture.format, picture.mode) for picture in opened} == {
        ("PNG", "L"), ("PNG", "RGB"), ("JPEG", "L"), ("JPEG", "RGB"),
    }  # fmt: skip
    assert len({picture.size for picture in opened}) > 30
    assert all(32 <= side <= 256 for picture in opened for side in picture.size)


def test_a_folder_of_them_is_taken_in_whole(tmp_path: Path) -> None:
    pictures.make_pictures(tmp_path / "pictures", 25)
    assert pictures.take_in(tmp_path / "pictures", tmp_path / "raw") == 25
    [table] = iter_tables(tmp_path / "raw")
    assert sorted(table["label"].to_pylist()) == sorted(number % 10 for number in range(25))
    assert table["problem"].null_count == 25
    assert sorted(table["image"].to_pylist()) == sorted(pictures.picture(number)[1] for number in range(25))


@pytest.mark.parametrize("kind", [pa.binary(), pa.binary(64 * 64 * 3), pa.list_(pa.uint8(), 64 * 64 * 3)], ids=str)
def test_pictures_of_every_parquet_are_compared_by_their_ids(tmp_path: Path, kind: pa.DataType) -> None:
    images = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), np.uint8)
    values = [image.ravel().tolist() if pa.types.is_fixed_size_list(kind) else image.tobytes() for image in images]
    (tmp_path / "way").mkdir()
    pq.write_table(pa.table({"id": ["b", "c", "a"], "image": pa.array(values, kind)}), tmp_path / "way/0.parquet")
    assert np.array_equal(pictures.pixels_of(tmp_path / "way", ["a", "b"]), images[[2, 0]])
