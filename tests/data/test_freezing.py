"""Freezing gives every class its exact shares, keeps what is frozen, and says what it moves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.data.freezing import freeze, thresholds_of
from pipeline.data.frozen_split import HASHES
from pipeline.data.instants import Instants
from pipeline.data.splitting import PARTS, Division, assign, of_shares
from pipeline.data.strata import Strata
from pipeline.errors import DataError
from pipeline.recipe.recipe import SplitParams
from pipeline.storage import shards
from tests.data.test_splitting import digests

STRATIFIED = SplitParams(method="stratified", train=0.7, validation=0.1, test=0.2)
SOURCE = SplitParams(method="source", train=0.9, validation=0.1, test=0.0)
CLASSES = ["a", "b"]
SCHEMA = pa.schema([("id", pa.string()), ("label", pa.int32()), ("part", pa.string()), ("content_digest", pa.string())])


def write_clean(folder: Path, rows: int, classes: list[str] = CLASSES) -> Path:
    """Write rows as the cleaning leaves them, in two shards; the labels take turns, every fifth is a test row."""
    numbers = range(rows)
    table = pa.table(
        {
            "id": [f"row-{number}" for number in numbers],
            "label": pa.array([number % len(classes) for number in numbers], pa.int32()),
            "part": ["test" if number % 5 == 0 else "train" for number in numbers],
            "content_digest": digests(numbers),
        },
        SCHEMA,
    )
    folder.mkdir()
    pieces = [table.slice(0, rows // 2), table.slice(rows // 2)]
    entries = [shards.write_shard(folder, number, SCHEMA, [piece]) for number, piece in enumerate(pieces)]
    shards.finish_dataset(folder, entries, SCHEMA, counts={"classes": dict.fromkeys(classes, 1)})
    return folder


def counts_of(rows: int, params: SplitParams, division: Division, classes: int = 2) -> dict[int, list[int]]:
    labels = np.arange(rows, dtype=np.int32) % classes
    parts = ["test" if number % 5 == 0 else "train" for number in range(rows)]
    codes = assign(parts, labels, division.hashes(digests(range(rows))), params, division)
    return {label: np.bincount(codes[labels == label], minlength=len(PARTS)).tolist() for label in range(classes)}


def test_every_class_gets_its_exact_shares(tmp_path: Path):
    found = freeze(write_clean(tmp_path / "clean", 200), classes=CLASSES, params=STRATIFIED, seed=3, before=None)

    division = Division(3, [found.split.thresholds[name] for name in CLASSES])
    assert counts_of(200, STRATIFIED, division) == {0: [70, 10, 20], 1: [70, 10, 20]}
    assert (found.added, found.rows) == (("a", "b"), 200)
    assert 0 < found.moved < 40


def test_with_given_test_rows_the_others_are_divided(tmp_path: Path):
    found = freeze(write_clean(tmp_path / "clean", 200), classes=CLASSES, params=SOURCE, seed=3, before=None)

    assert {second for _, second in found.split.thresholds.values()} == {HASHES}
    division = Division(3, [found.split.thresholds[name] for name in CLASSES])
    assert counts_of(200, SOURCE, division) == {0: [72, 8, 20], 1: [72, 8, 20]}


def test_growth_leaves_what_is_frozen_and_a_new_class_is_added(tmp_path: Path):
    before = freeze(write_clean(tmp_path / "clean", 200), classes=CLASSES, params=STRATIFIED, seed=3, before=None)
    more = write_clean(tmp_path / "grown", 400, ["a", "b", "c"])
    in_force = STRATIFIED.model_copy(update={"frozen": "mine"})

    found = freeze(more, classes=["a", "b", "c"], params=in_force, seed=99, before=before.split)

    assert (found.added, found.split.seed) == (("c",), 3)
    assert found.split.thresholds.items() > before.split.thresholds.items()
    again = freeze(more, classes=["a", "b", "c"], params=in_force, seed=1, before=found.split)
    assert (again.split, again.added, again.moved) == (found.split, (), 0)


def test_a_class_with_too_few_rows_is_named(tmp_path: Path):
    with pytest.raises(DataError, match="class 'a': 2 rows are too few to give the validation part one"):
        freeze(write_clean(tmp_path / "clean", 4), classes=CLASSES, params=STRATIFIED, seed=3, before=None)
    assert thresholds_of(np.arange(1, 11, dtype=np.uint64), (0.7, 0.1, 0.2)) == (8, 9)


def test_rows_of_other_classes_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="of other classes"):
        freeze(write_clean(tmp_path / "clean", 9), classes=["b", "a"], params=STRATIFIED, seed=3, before=None)


def test_thresholds_are_hashes_of_rows_and_all_hashes_where_no_row_is_left():
    hashes = np.array([50, 10, 40, 20, 30], np.uint64)

    assert thresholds_of(hashes, (0.4, 0.2, 0.4)) == (30, 40)
    assert thresholds_of(hashes, (0.8, 0.2, 0.0)) == (50, HASHES)
    with pytest.raises(DataError, match=r"^5 rows are too few to give the validation part one; add rows"):
        thresholds_of(hashes, (0.99, 0.005, 0.005))


def test_what_is_moved_is_counted_against_what_is_in_force(tmp_path: Path):
    clean = write_clean(tmp_path / "clean", 200)
    found = freeze(clean, classes=CLASSES, params=STRATIFIED, seed=3, before=None)
    labels = np.arange(200, dtype=np.int32) % 2
    parts = ["test" if number % 5 == 0 else "train" for number in range(200)]
    now = Division(3, [of_shares(STRATIFIED)] * 2)
    then = Division(3, [found.split.thresholds[name] for name in CLASSES])
    ids = digests(range(200))
    both = [assign(parts, labels, each.hashes(ids), STRATIFIED, each) for each in (now, then)]
    assert found.moved == (both[0] != both[1]).sum()
    assert found.split.seed == 3

    # The file is there, and the recipe does not name it yet: its own shares and seed are in force.
    again = freeze(clean, classes=CLASSES, params=STRATIFIED, seed=5, before=found.split)
    other = Division(5, [of_shares(STRATIFIED)] * 2)
    with_5 = assign(parts, labels, other.hashes(ids), STRATIFIED, other)
    assert again.moved == (with_5 != both[1]).sum()
    assert (again.split, again.added) == (found.split, ())


def test_a_class_that_is_added_was_divided_by_its_shares_until_then(tmp_path: Path):
    before = freeze(write_clean(tmp_path / "clean", 200), classes=CLASSES, params=STRATIFIED, seed=3, before=None)
    in_force = STRATIFIED.model_copy(update={"frozen": "mine"})
    more = write_clean(tmp_path / "grown", 400, ["a", "b", "c"])
    found = freeze(more, classes=["a", "b", "c"], params=in_force, seed=99, before=before.split)
    labels = np.arange(400, dtype=np.int32) % 3
    parts = ["test" if number % 5 == 0 else "train" for number in range(400)]
    known = [before.split.thresholds["a"], before.split.thresholds["b"], of_shares(STRATIFIED)]
    both = [
        assign(parts, labels, division.hashes(digests(range(400))), in_force, division)
        for division in (Division(3, list(by_class)) for by_class in (known, found.split.thresholds.values()))
    ]
    assert found.moved == (both[0] != both[1]).sum()
    assert (both[0] != both[1])[labels != 2].sum() == 0


TIME = SplitParams(method="time", train=0.7, validation=0.1, test=0.2)


def write_table(folder: Path, rows: int, content: Sequence[object] | None = None) -> Path:
    """Write rows of a table whose target is their number in two shards; four rows are of one time."""
    numbers = range(rows)
    schema = pa.schema(
        [("id", pa.string()), ("label", pa.float64()), *list(SCHEMA)[2:], ("time", pa.timestamp("us", "UTC"))]
    )
    table = pa.table(
        {
            "id": [f"row-{number}" for number in numbers],
            "label": [float(number) for number in numbers],
            "part": ["test" if number % 5 == 0 else "train" for number in numbers],
            "content_digest": digests(numbers if content is None else content),
            "time": pa.array([number // 4 for number in numbers], pa.timestamp("us", "UTC")),
        },
        schema,
    )
    folder.mkdir()
    pieces = [table.slice(0, rows // 3), table.slice(rows // 3)]
    entries = [shards.write_shard(folder, number, schema, [piece]) for number, piece in enumerate(pieces)]
    shards.finish_dataset(folder, entries, schema, counts={"classes": {}})
    return folder


def test_every_bin_of_a_number_gets_its_exact_shares(tmp_path: Path):
    found = freeze(write_table(tmp_path / "clean", 400), classes=[], params=STRATIFIED, seed=3, before=None)

    split = found.split
    assert split.edges == tuple(40.0 * n - 1 for n in range(1, 10))
    assert found.added == Strata.of_edges(split.edges).names == tuple(split.thresholds)
    division = Division.of(STRATIFIED.model_copy(update={"frozen": "f"}), 99, [], split)
    labels = np.arange(400.0)
    codes = assign(["train"] * 400, labels, division.hashes(digests(range(400))), STRATIFIED, division)
    for bin_ in range(10):
        of_bin = codes[40 * bin_ : 40 * bin_ + 40]
        assert np.bincount(of_bin).tolist() == [28, 4, 8]
    now = Division(3, [of_shares(STRATIFIED)], ())
    before = assign(["train"] * 400, labels, now.hashes(digests(range(400))), STRATIFIED, now)
    assert found.moved == (before != codes).sum() > 0


def test_the_bins_that_are_frozen_stay_however_the_numbers_grow(tmp_path: Path):
    before = freeze(write_table(tmp_path / "clean", 400), classes=[], params=STRATIFIED, seed=3, before=None)
    more = write_table(tmp_path / "grown", 900)
    in_force = STRATIFIED.model_copy(update={"frozen": "mine"})

    found = freeze(more, classes=[], params=in_force, seed=99, before=before.split)

    assert (found.split, found.added, found.moved, found.rows) == (before.split, (), 0, 900)


def test_a_bin_with_too_few_rows_is_named_and_equal_content_counts_once(tmp_path: Path):
    content = [number % 2 if number < 40 else number for number in range(400)]
    clean = write_table(tmp_path / "clean", 400, content)
    with pytest.raises(DataError, match=r"^bin '≤ 39': 2 rows are too few to give the validation part one; add rows"):
        freeze(clean, classes=[], params=STRATIFIED, seed=3, before=None)
    assert thresholds_of(np.array([4, 1, 1, 1, 2, 3] * 3, np.uint64), (0.5, 0.25, 0.25)) == (3, 4)


def test_a_split_by_time_is_frozen_at_its_instants_and_no_row_moves(tmp_path: Path):
    found = freeze(write_table(tmp_path / "clean", 400), classes=[], params=TIME, seed=3, before=None)

    assert found.split.instants_in_force == Instants(70, 80)
    assert (found.added, found.rows, found.moved) == (("validation_from", "test_from"), 400, 0)


def test_what_a_split_by_time_is_frozen_at_stays_and_what_that_moves_is_counted(tmp_path: Path):
    before = freeze(write_table(tmp_path / "clean", 400), classes=[], params=TIME, seed=3, before=None).split
    more = write_table(tmp_path / "grown", 800)

    in_force = freeze(more, classes=[], params=TIME.model_copy(update={"frozen": "mine"}), seed=3, before=before)
    assert (in_force.split, in_force.added, in_force.moved) == (before, (), 0)

    # The recipe does not name it yet: the rows' own instants, 140 and 160, are in force.
    found = freeze(more, classes=[], params=TIME, seed=3, before=before)
    assert (found.split, found.added) == (before, ())
    assert found.moved == 4 * (160 - 70)
