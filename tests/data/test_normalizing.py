"""One shard through normalize: its rows go to their parts, or are refused. Whole data sets: tests/system."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data import id_order, normalizing
from pipeline.data.cleaning import examine
from pipeline.data.feature_kinds import clean_schema, fitted, specs
from pipeline.data.normalizing import (
    Normalized,
    NormalizedShard,
    ShardToNormalize,
    _finish_part,
    _tasks,
    normalize_dataset,
    normalize_shard,
)
from pipeline.errors import DataError
from pipeline.recipe.slots import Feature
from pipeline.records.columns import Columns
from pipeline.records.manifest import TARGET
from pipeline.storage.manifests import read_manifest
from pipeline.storage.row_columns import WEIGHT, RowColumns
from pipeline.storage.shards import array_of, finish_dataset, prepared_schema, shard_name, write_shard
from tests.data.given import image_columns, image_feature, image_specs, images, raw_row, raw_table

FEATURES = image_specs((8, 8, 1), (8, 8))
PARTS = ["train", "test", "train"]
PIXELS = images(3, (8, 8, 1))


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Write a clean shard of three rows and the parts of its rows."""
    rows = [raw_row(n, **{"label": n % 2, **image_columns(pixels)}) for n, pixels in enumerate(PIXELS)]
    _, clean = examine(raw_table(FEATURES, *rows), 0, 2, FEATURES)
    write(tmp_path / "clean", clean_schema(FEATURES), clean)
    write_split(tmp_path, ["row-0", "row-1", "row-2"])
    return tmp_path


def write(folder: Path, schema: pa.Schema, table: pa.Table) -> None:
    folder.mkdir(exist_ok=True)
    write_shard(folder, 0, schema, [table])


def write_split(root: Path, ids: list[str]) -> None:
    table = pa.table({"id": ids, "part": PARTS})
    write(root / "split", table.schema, table)


def made(root: Path) -> Normalized:
    return Normalized(root / "prepared", root / "served", root / "left_out")


def normalized(root: Path) -> NormalizedShard:
    task = ShardToNormalize(0, {"train": 0, "test": 4})
    return normalize_shard(task, root / "clean", root / "split", made(root), FEATURES)


def written(root: Path, part: str, number: int) -> pa.Table:
    return pq.read_table(root / "prepared" / part / shard_name(number))


def test_each_row_goes_to_its_part_under_the_number_the_shard_has_there(folders: Path):
    found = normalized(folders)

    assert {
        folder.name: (entry.path, entry.rows) for folder, entry in found.files.items() if "prepared" in folder.parts
    } == {
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


def test_pieces_of_a_shard_are_prepared_one_by_one_and_come_to_the_same(folders: Path, monkeypatch: pytest.MonkeyPatch):
    whole = normalized(folders)
    rows = {part: written(folders, part, number) for part, number in (("train", 0), ("test", 4))}
    monkeypatch.setattr(normalizing, "_BLOCK_BYTES", 64)

    pieces = normalized(folders)

    assert {part: len(each) for part, each in whole.partials.items()} == {"train": 1, "test": 1}
    assert {part: len(each) for part, each in pieces.partials.items()} == {"train": 2, "test": 1}
    assert fitted(FEATURES, pieces.partials["train"]) == fitted(FEATURES, whole.partials["train"])
    assert {part: written(folders, part, number) for part, number in (("train", 0), ("test", 4))} == rows


def test_a_part_s_shards_are_numbered_without_gaps(tmp_path: Path):
    schema = pa.schema([("id", pa.string()), ("part", pa.string())])
    (tmp_path / "split").mkdir()
    entries = []
    for number, parts in enumerate((["train"], ["test", "train"], ["validation", "validation"], ["test"])):
        table = pa.table({"id": [f"{number}-{n}" for n in range(len(parts))], "part": parts}, schema)
        entries.append(write_shard(tmp_path / "split", number, schema, [table]))
    finish_dataset(tmp_path / "split", entries, schema, counts={})

    assert _tasks(tmp_path / "split", read_manifest(tmp_path / "split")) == [
        ShardToNormalize(0, {"train": 0}),
        ShardToNormalize(1, {"train": 1, "test": 0}),
        ShardToNormalize(2, {"validation": 0}),
        ShardToNormalize(3, {"test": 1}),
    ]


def test_a_part_s_manifest_has_its_shards_its_features_as_fitted_and_its_rows_by_class(folders: Path):
    done = [normalized(folders), NormalizedShard({}, {}, {}, {}, [], Counter(), [])]
    learned = fitted(FEATURES, done[0].partials["train"])
    (folders / "prepared" / "train" / ".attempt-killed").mkdir()
    for part in ("train", "test"):
        folder = folders / "prepared" / part
        _finish_part(folder, part, done, [done[0].files[folder]], learned, ["a", "b", "c"], RowColumns())

    train, test = (read_manifest(folders / "prepared" / part) for part in ("train", "test"))
    assert (train.rows, test.rows) == (2, 1)
    assert train.files == (done[0].files[folders / "prepared" / "train"],)
    assert train.features == test.features == learned
    assert train.counts == {"classes": {"a": 2, "b": 0, "c": 0}}
    assert test.counts == {"classes": {"a": 0, "b": 1, "c": 0}}
    assert not (folders / "prepared" / "train" / ".attempt-killed").exists()


def test_a_data_set_is_prepared_shard_by_shard_and_fitted_on_its_training_part(
    folders: Path, monkeypatch: pytest.MonkeyPatch
):
    """Spark's workers do no more than call the function for each task: tests/system has them."""
    asked = []

    def run_here(session, function, tasks, on_progress):
        asked.extend(rows for _, rows in tasks)
        return [function(task) for task, _ in tasks]

    monkeypatch.setattr(normalizing, "run_tasks", run_here)
    column = {"column": "pet", "edges": []}
    of_split = {"classes": {"train": {"a": 2, "b": 0}, "test": {"a": 0, "b": 1}}}
    for name, counts in (("clean", {TARGET: column}), ("split", of_split)):
        table = pq.read_table(folders / name / shard_name(0))
        entry = write_shard(folders / name, 0, table.schema, [table])
        finish_dataset(folders / name, [entry], table.schema, counts=counts)
    (folders / "left_out").mkdir()
    places = (folders / "clean", folders / "split", made(folders))

    rows, columns = normalize_dataset(None, *places, features=FEATURES, on_progress=lambda *_: None)  # type: ignore[arg-type]

    assert (rows, asked) == ({"train": 2, "test": 1}, [3])
    assert columns == Columns()  # pictures are shown as such
    train, test = (read_manifest(folders / "prepared" / part) for part in ("train", "test"))
    assert (train.counts["classes"], test.counts["classes"]) == ({"a": 2, "b": 0}, {"a": 0, "b": 1})
    assert (train.counts[TARGET], test.counts[TARGET]) == (column, column)
    assert train.features == test.features
    assert train.features[0].fitted["mean"] == [PIXELS[[0, 2]].mean()]


def test_a_picture_beside_a_number_is_fitted_when_it_is_prepared_and_the_number_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(normalizing, "run_tasks", lambda _, function, tasks, __: [function(task) for task, _ in tasks])
    features = specs({"image": image_feature((8, 8, 1), (8, 8)), "x": Feature(kind="number", settings={})})
    raw = raw_table(features, *(raw_row(n, x=str(n), **image_columns(pixels)) for n, pixels in enumerate(PIXELS)))
    _, clean = examine(raw, 0, 1, features)
    write_split(tmp_path, ["row-0", "row-1", "row-2"])
    split = pq.read_table(tmp_path / "split" / shard_name(0))
    for name, table, counts in (
        ("clean", clean, {}),
        ("split", split, {"classes": {"train": {"a": 2}, "test": {"a": 1}}}),
    ):
        (tmp_path / name).mkdir(exist_ok=True)
        entry = write_shard(tmp_path / name, 0, table.schema, [table])
        finish_dataset(tmp_path / name, [entry], table.schema, counts=counts)
    (tmp_path / "left_out").mkdir()

    places = (tmp_path / "clean", tmp_path / "split", made(tmp_path))
    normalize_dataset(None, *places, features=features, on_progress=lambda *_: None)  # type: ignore[arg-type]

    image, x = read_manifest(tmp_path / "prepared" / "test").features
    assert image.fitted["mean"] == [PIXELS[[0, 2]].mean()]
    assert x.fitted["centre"] == 1.0


@pytest.mark.parametrize("shards", [((0, 3), (0, 2)), ((0, 2), (0, 3)), ((0, 3), (1, 3))])
def test_a_split_with_other_shards_is_refused_before_any_work(tmp_path: Path, shards: tuple[tuple[int, int], ...]):
    schema = pa.schema([("id", pa.string())])
    for name, (number, count) in zip(("clean", "split"), shards, strict=True):
        (tmp_path / name).mkdir()
        table = pa.table({"id": [str(n) for n in range(count)]}, schema)
        entry = write_shard(tmp_path / name, number, schema, [table])
        finish_dataset(tmp_path / name, [entry], schema, counts={})

    with pytest.raises(DataError, match=r"split: its shards are not those of .*clean; run stage split again"):
        normalize_dataset(
            None,  # type: ignore[arg-type] # no session is asked
            tmp_path / "clean",
            tmp_path / "split",
            made(tmp_path),
            features=FEATURES,
            on_progress=lambda done, rows: None,
        )


def test_the_rows_of_every_part_keep_their_weights(folders: Path):
    own = RowColumns(roles=("key", WEIGHT))
    clean = pq.read_table(folders / "clean" / shard_name(0))
    clean = clean.append_column("key", pa.array(["a", "b", "c"])).append_column(WEIGHT, pa.array([0.5, 2.0, 3.0]))
    schema = clean_schema(FEATURES, own)
    write(folders / "clean", schema, clean.select(schema.names))

    task = ShardToNormalize(0, {"train": 0, "test": 4})
    normalize_shard(task, folders / "clean", folders / "split", made(folders), FEATURES, own)
    train, test = written(folders, "train", 0), written(folders, "test", 4)
    assert (train[WEIGHT].to_pylist(), test[WEIGHT].to_pylist()) == ([0.5, 3.0], [2.0])
    assert train.schema == prepared_schema(FEATURES, own)
    assert "key" not in train.column_names


def test_columns_and_a_number_as_target_are_told_of_the_training_part_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What the columns hold is told before outliers are dropped; the target, of the rows that stay."""
    for module in (normalizing, id_order):
        monkeypatch.setattr(module, "run_tasks", lambda _, function, tasks, __: [function(task) for task, _ in tasks])
    rules = {"outliers": {"method": "iqr", "bound": 1.5, "action": "drop"}, "unit": "min"}
    features = specs({"x": Feature(kind="number", settings=rules), "y": Feature(kind="number", settings={})})
    own = RowColumns(is_number=True)
    rows = 12
    values = [float(value) for value in (*range(1, 10), 1000, -5, -6)]
    parts = ["train"] * 10 + ["validation", "test"]
    ids = [f"{row:032x}" for row in range(rows)]
    columns = {"id": ids, "label": [10.0 * value for value in values], "x": values, "y": [7.0] * rows}
    schema = clean_schema(features, own)
    empty = {name: pa.nulls(rows, schema.field(name).type) for name in schema.names if name not in columns}
    whole = pa.table({**columns, **empty}).select(schema.names).cast(schema)
    divided = pa.table({"id": ids, "part": parts})
    by_part = {"classes": {part: {} for part in parts}}
    for name, table, counts in (("clean", whole, {}), ("split", divided, by_part)):
        (tmp_path / name).mkdir()
        entries = [write_shard(tmp_path / name, n, table.schema, [table.slice(6 * n, 6)]) for n in range(2)]
        finish_dataset(tmp_path / name, entries, table.schema, counts=counts)
    (tmp_path / "left_out").mkdir()

    kept, told = normalize_dataset(
        None,  # type: ignore[arg-type]
        tmp_path / "clean",
        tmp_path / "split",
        made(tmp_path),
        features=features,
        on_progress=lambda *_: None,
        own=own,
    )

    assert kept == {"train": 9, "validation": 1, "test": 1}
    x, y = told.columns
    assert (x.name, x.kind, x.rows, x.missing) == ("x", "number", 10, 0)
    assert (x.distribution.minimum, x.distribution.maximum, x.distribution.unit) == (1, 1000, "min")
    assert (y.name, y.distribution.histogram) == ("y", None)
    assert (told.target.minimum, told.target.median, told.target.maximum) == (10, 50, 90)
    assert read_manifest(tmp_path / "left_out").counts == {"rejected": {"outlier": 1}}
