"""One shard through normalize: its rows go to their parts, or are refused. Whole data sets: tests/system."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data.feature_kinds import fitted, raw_schema
from pipeline.data.normalizing import NormalizedShard, ShardToNormalize, normalize_shard
from pipeline.errors import DataError
from pipeline.storage.shards import array_of, prepared_schema, shard_name, write_shard
from tests.data.given import image_columns, image_specs, images, raw_row, raw_table

FEATURES = image_specs((8, 8, 1), (8, 8))
PARTS = ["train", "test", "train"]
PIXELS = images(3, (8, 8, 1))


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Write a clean shard of three rows and the parts of its rows."""
    rows = [raw_row(n, **{"label": n % 2, **image_columns(pixels)}) for n, pixels in enumerate(PIXELS)]
    write(tmp_path / "clean", raw_schema(FEATURES), raw_table(FEATURES, *rows))
    write_split(tmp_path, ["row-0", "row-1", "row-2"])
    return tmp_path


def write(folder: Path, schema: pa.Schema, table: pa.Table) -> None:
    folder.mkdir(exist_ok=True)
    write_shard(folder, 0, schema, [table])


def write_split(root: Path, ids: list[str]) -> None:
    table = pa.table({"id": ids, "part": PARTS})
    write(root / "split", table.schema, table)


def normalized(root: Path) -> NormalizedShard:
    task = ShardToNormalize(0, {"train": 0, "test": 4})
    return normalize_shard(task, root / "clean", root / "split", root / "prepared", FEATURES)


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
    assert written(folders, "test", 4).schema == prepared_schema(FEATURES)


def test_every_feature_is_prepared(folders: Path):
    normalized(folders)

    assert np.array_equal(array_of(written(folders, "train", 0)["image"], FEATURES[0]), PIXELS[[0, 2]])


def test_rows_are_counted_by_label_and_what_fitting_needs_is_gathered_by_part(folders: Path):
    found = normalized(folders)

    assert {part: dict(labels) for part, labels in found.labels.items()} == {"train": {0: 2}, "test": {1: 1}}
    [spec] = fitted(FEATURES, found.partials["train"])
    assert spec.fitted is not None
    assert spec.fitted["mean"] == [PIXELS[[0, 2]].mean()]


@pytest.mark.parametrize("ids", [["row-0", "row-2", "row-1"], ["row-0", "row-1", "other"]])
def test_a_split_of_other_rows_is_refused(folders: Path, ids: list[str]):
    write_split(folders, ids)

    with pytest.raises(DataError, match=r"its rows are not those of data/clean; run stage split again"):
        normalized(folders)
