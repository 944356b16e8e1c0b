"""One shard through normalize: its rows go to their parts, or are refused. Whole data sets: tests/system."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data.normalizing import NormalizedShard, ShardToNormalize, normalize_shard
from pipeline.errors import DataError
from pipeline.storage.shards import RAW_SCHEMA, image_schema, pixels_of, shard_name, write_shard

SHAPE = (2, 2, 1)
PARTS = ["train", "test", "train"]
PIXELS = np.arange(12, dtype=np.uint8).reshape(3, *SHAPE)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Write a clean shard of three rows and the parts of its rows."""
    rows = [
        {
            "id": f"row-{n}",
            "label": n % 2,
            "part": "train",
            "source": "file",
            "row": n,
            "encoding": "raw",
            "height": 2,
            "width": 2,
            "channels": 1,
            "payload": image.tobytes(),
            "payload_digest": "d",
        }
        for n, image in enumerate(PIXELS)
    ]
    write(tmp_path / "clean", RAW_SCHEMA, pa.Table.from_pylist(rows, RAW_SCHEMA))
    write_split(tmp_path, ["row-0", "row-1", "row-2"])
    return tmp_path


def write(folder: Path, schema: pa.Schema, table: pa.Table) -> None:
    folder.mkdir(exist_ok=True)
    write_shard(folder, 0, schema, [table])


def write_split(root: Path, ids: list[str]) -> None:
    table = pa.table({"id": ids, "part": PARTS})
    write(root / "split", table.schema, table)


def normalized(root: Path, target: tuple[int, int, int] = SHAPE) -> NormalizedShard:
    task = ShardToNormalize(0, {"train": 0, "test": 4})
    return normalize_shard(task, root / "clean", root / "split", root / "prepared", SHAPE, target)


def written(root: Path, part: str, number: int) -> pa.Table:
    return pq.read_table(root / "prepared" / part / shard_name(number))


def test_each_row_goes_to_its_part_under_the_number_the_shard_has_there(folders: Path):
    found = normalized(folders)

    assert {part: (entry.path, entry.rows) for part, entry in found.entries.items()} == {
        "train": (shard_name(0), 2),
        "test": (shard_name(4), 1),
    }
    assert written(folders, "train", 0)["id"].to_pylist() == ["row-0", "row-2"]
    assert written(folders, "test", 4)["id"].to_pylist() == ["row-1"]
    assert written(folders, "test", 4).schema == image_schema(SHAPE)


def test_pixels_of_the_same_size_are_kept_as_they_are(folders: Path):
    normalized(folders)

    assert np.array_equal(pixels_of(written(folders, "train", 0)["pixels"], SHAPE), PIXELS[[0, 2]])


def test_rows_are_counted_by_label_and_grey_levels_added_up_by_part(folders: Path):
    found = normalized(folders)

    assert {part: dict(labels) for part, labels in found.labels.items()} == {"train": {0: 2}, "test": {1: 1}}
    assert found.sums["train"].total == (int(PIXELS[[0, 2]].sum()),)
    assert found.sums["test"].statistics().mean == (PIXELS[1].mean(),)


def test_images_are_resized_to_the_target(folders: Path):
    normalized(folders, target=(4, 3, 1))

    assert pixels_of(written(folders, "train", 0)["pixels"], (4, 3, 1)).shape == (2, 4, 3, 1)


@pytest.mark.parametrize("ids", [["row-0", "row-2", "row-1"], ["row-0", "row-1", "other"]])
def test_a_split_of_other_rows_is_refused(folders: Path, ids: list[str]):
    write_split(folders, ids)

    with pytest.raises(DataError, match=r"its rows are not those of data/clean; run stage split again"):
        normalized(folders)
