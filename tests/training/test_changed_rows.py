"""Rows that are changed anew in each epoch: the same as would be written, whatever rank, thread and batch asks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.augmentation.changing import copies_by_class
from pipeline.data.augmenting import ShardToAugment, augment_shard, augmented_schema, write_examples
from pipeline.data.augmenting import _partners as partners_of
from pipeline.graph import load_graph
from pipeline.recipe.recipe import AugmentParams
from pipeline.storage.manifests import read_manifest, write_manifest
from pipeline.storage.shards import finish_dataset, read_rows
from pipeline.training.batches import read_part, training_batches
from pipeline.training.changed_rows import ChangedRows, read_changed_rows
from pipeline.training.order import EpochOrder
from pipeline.training.tree import block_of
from tests.training.made import image_spec, write_rows

ROOT = Path(__file__).parents[2]
SHAPE, ROWS, CLASSES, SEED = (9, 7, 3), 50, 3, 4
MIXED = [
    {"name": "warp", "settings": {"flip": 0.5, "rotate_deg": 20.0}},
    {"name": "colour", "settings": {"brightness": 0.3, "hue_deg": 30.0}},
    {"name": "overlay", "settings": {"mixup": 0.3, "cutmix": 0.3}},
    {"name": "noise", "settings": {"levels": 3.0}},
]
PLAIN = [step for step in MIXED if step["name"] != "overlay"]


def params(steps: list[dict[str, Any]], copies: int = 2, when: str = "during") -> AugmentParams:
    return AugmentParams.model_validate({"when": when, "copies": copies, "steps": steps})


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty random colour images in three shards."""
    numbers = np.random.default_rng(3)
    pixels = numbers.integers(0, 256, (ROWS, *SHAPE), np.uint8)
    labels = numbers.integers(0, CLASSES, ROWS)
    spec = image_spec(SHAPE).changed(facts={"image_mean": "float32", "image_std": "float32"})
    folder = write_rows(tmp_path_factory.mktemp("data") / "train", [spec], {"image": pixels}, labels, parts=3)
    counted = {"classes": {f"class {label}": int((labels == label).sum()) for label in range(CLASSES)}}
    write_manifest(folder, read_manifest(folder).changed(counts=counted))
    return folder


@pytest.fixture(scope="module", params=["plain", "mixed"])
def rows(request: pytest.FixtureRequest, training: Path) -> ChangedRows:
    return read_changed_rows(training, CLASSES, params(MIXED if request.param == "mixed" else PLAIN), SEED)


@pytest.mark.parametrize("steps", [PLAIN, MIXED], ids=["plain", "mixed"])
def test_the_first_epoch_has_the_copies_that_would_be_written_before(
    training: Path, tmp_path: Path, steps: list[dict[str, Any]]
) -> None:
    written, first = params(steps, when="before"), 0
    manifest = read_manifest(training)
    partners = partners_of(training, SEED) if steps is MIXED else None
    entries = []
    for number, entry in enumerate(manifest.files):
        shard = augment_shard(ShardToAugment(number, first), training, tmp_path, SEED, written, partners)
        entries.append(shard.entry)
        first += entry.rows
    schema = augmented_schema(manifest.features, is_mixed=steps is MIXED)
    finish_dataset(tmp_path, entries, schema, features=manifest.features)
    there, ids = read_part([tmp_path], CLASSES), read_rows(tmp_path).ids
    epoch = read_changed_rows(training, CLASSES, params(steps), SEED)
    names = [f"train-{row % ROWS}-{row // ROWS + 1}" for row in range(2 * ROWS)]
    place = np.array([ids.index(name) for name in names])

    found, targets = epoch.batch(np.arange(2 * ROWS), 1)
    columns, expected = there.batch(place, 1)
    assert (there.is_mixed, len(there), len(epoch)) == (steps is MIXED, 2 * ROWS, 2 * ROWS)
    assert np.array_equal(found["image"], columns["image"])
    assert len(targets) == len(expected) == (3 if steps is MIXED else 1)
    for one, other in zip(targets, expected, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


def test_epochs_go_on_counting_copies(training: Path, rows: ChangedRows) -> None:
    six = ChangedRows(rows.originals, rows.features, rows.steps, 6)
    whole, _ = six.batch(np.arange(6 * ROWS), 1)
    third, _ = rows.batch(np.arange(2 * ROWS), 3)

    assert np.array_equal(third["image"], whole["image"][4 * ROWS :])


@pytest.mark.long
@given(seed=st.integers(0, 2**63 - 1), ranks=st.integers(1, 3), each=st.integers(1, 2), epoch=st.integers(1, 9))
def test_a_micro_batch_is_the_same_bits_whichever_rank_carries_it(
    rows: ChangedRows, seed: int, ranks: int, each: int, epoch: int
) -> None:
    order, virtual = EpochOrder(len(rows), seed, epoch), ranks * each

    def of(block: range) -> list[list[bytes]]:
        steps = training_batches(rows, order, epoch, virtual * 7, block, virtual)
        return [
            [b"".join(each.tobytes() for each in (columns["image"], *targets)) for columns, targets in batches]
            for batches in steps
        ]

    alone = of(range(virtual))
    for rank in range(ranks):
        block = block_of(rank, ranks, virtual)
        assert of(block) == [batches[block.start : block.stop] for batches in alone]


def test_a_row_is_another_picture_in_each_epoch_with_its_own_label(training: Path) -> None:
    part = read_part([training], CLASSES)
    changed = read_changed_rows(training, CLASSES, params(PLAIN, copies=1), SEED)
    [first, [labels]], [second, _] = (changed.batch(np.arange(ROWS), epoch) for epoch in (1, 2))

    assert len(changed) == ROWS
    assert np.array_equal(labels, part.labels)
    assert (first["image"] != second["image"]).any(axis=(1, 2, 3)).all()


def test_another_seed_changes_rows_otherwise(training: Path, rows: ChangedRows) -> None:
    other = read_changed_rows(training, CLASSES, params(PLAIN), SEED + 1)

    assert not np.array_equal(other.batch(np.arange(9), 1)[0]["image"], rows.batch(np.arange(9), 1)[0]["image"])


def test_the_training_declares_what_changes_rows_and_no_step_s_file() -> None:
    stage = load_graph(ROOT)["train"]
    declared = {dep for dep in stage.deps if dep.startswith("pipeline/augmentation")}
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "pipeline/augmentation").glob("*.py")}

    assert declared == files - {"pipeline/augmentation/__init__.py"}
    assert {"augment", "code.augmentation"} <= set(stage.params)


def test_examples_are_originals_and_the_copies_that_are_trained_on_first(training: Path, tmp_path: Path) -> None:
    manifest = write_examples(training, tmp_path, seed=SEED, params=params(MIXED, copies=1))
    shown, originals = read_rows(tmp_path), read_rows(training)
    rows = read_changed_rows(training, CLASSES, params(MIXED, copies=1), SEED)

    assert manifest.counts == {
        "steps": ["warp", "colour", "overlay", "noise"],
        "when": "during",
        "copies": 1,
        "classes": ["class 0", "class 1", "class 2"],
    }
    first = [originals.ids.index(name.removesuffix("-0")) for name in shown.ids[:8]]
    assert np.array_equal(originals.labels[first], [0, 1, 2, 0, 1, 2, 0, 1])
    assert np.array_equal(shown.columns["image"][0:8], originals.columns["image"].take(np.array(first), axis=0))
    for copy in range(1, 7):
        columns, _ = rows.batch(np.array(first), copy)
        assert np.array_equal(shown.columns["image"][8 * copy : 8 * copy + 8], columns["image"])
    assert len(shown) == 8 * 7


@pytest.mark.parametrize("of", [params(MIXED, copies=0), params([], copies=1)], ids=["no copies", "no steps"])
def test_nothing_that_is_changed_gives_no_examples(training: Path, tmp_path: Path, of: AugmentParams) -> None:
    assert write_examples(training, tmp_path, seed=SEED, params=of).rows == 0


def oversampled(*steps: dict[str, Any], when: str = "before", copies: int = 0, **settings: Any) -> AugmentParams:
    return params([*steps, {"name": "oversample", "settings": settings}], copies, when)


@pytest.fixture(scope="module")
def rare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty rows of class 0, then eight of class 1 and two of class 2, in three shards, the first of class 0 alone."""
    pixels = np.random.default_rng(4).integers(0, 256, (ROWS, *SHAPE), np.uint8)
    labels = np.repeat([0, 1, 2], [40, 8, 2])
    spec = image_spec(SHAPE).changed(facts={"image_mean": "float32", "image_std": "float32"})
    folder = write_rows(tmp_path_factory.mktemp("rare") / "train", [spec], {"image": pixels}, labels, parts=3)
    counted = {"classes": {"class 0": 40, "class 1": 8, "class 2": 2}}
    write_manifest(folder, read_manifest(folder).changed(counts=counted))
    return folder


def augmented(training: Path, folder: Path, of: AugmentParams) -> Counter[str]:
    """Write the copies as the stage does, without Spark; return how many there are of each row."""
    manifest = read_manifest(training)
    by_class = copies_by_class(of, list(manifest.counts["classes"].values()))
    done, first = [], 0
    for number, entry in enumerate(manifest.files):
        done.append(augment_shard(ShardToAugment(number, first, by_class), training, folder, SEED, of))
        first += entry.rows
    finish_dataset(
        folder, [each.entry for each in done], augmented_schema(manifest.features), features=manifest.features
    )
    rows = read_rows(folder)
    labels = sum((each.labels for each in done), Counter[int]())
    assert labels == Counter(rows.labels.tolist())
    return Counter(row_id.rpartition("-")[0] for row_id in rows.ids)


def test_copies_are_of_rows_of_rare_classes_alone_and_repeat_them_without_other_steps(
    rare: Path, tmp_path: Path
) -> None:
    found = augmented(rare, tmp_path, oversampled(share=0.5))

    assert found == {**{f"train-{row}": 2 for row in range(40, 48)}, **{f"train-{row}": 9 for row in range(48, 50)}}
    originals, copies = read_rows(rare), read_rows(tmp_path)
    own = np.array([originals.ids.index(row_id.rpartition("-")[0]) for row_id in copies.ids])
    assert np.array_equal(copies.columns["image"][:], originals.columns["image"].take(own, axis=0))
    assert np.array_equal(copies.labels, originals.labels[own])


def test_other_steps_change_each_copy_and_every_row_has_those_of_the_recipe(rare: Path, tmp_path: Path) -> None:
    found = augmented(rare, tmp_path, oversampled(*PLAIN, copies=1, share=0.5))

    assert {found[f"train-{row}"] for row in range(40)} == {1}
    assert {found[f"train-{row}"] for row in range(40, 48)} == {4}
    assert {found[f"train-{row}"] for row in range(48, 50)} == {19}
    pixels = read_rows(tmp_path).columns["image"][:]
    assert len({each.tobytes() for each in pixels}) == len(pixels) == 40 + 8 * 4 + 2 * 19


def test_a_copy_is_the_same_whether_or_not_others_are_added(rare: Path, tmp_path: Path) -> None:
    for name, of in (("plain", params(PLAIN, 2, "before")), ("more", oversampled(*PLAIN, copies=2))):
        (tmp_path / name).mkdir()
        augmented(rare, tmp_path / name, of)
    plain, more = (read_rows(tmp_path / name) for name in ("plain", "more"))
    place = {row_id: number for number, row_id in enumerate(more.ids)}

    assert set(plain.ids) < set(more.ids)
    same = np.array([place[row_id] for row_id in plain.ids])
    assert np.array_equal(more.columns["image"].take(same, axis=0), plain.columns["image"][:])


def test_an_epoch_has_the_copies_that_are_written_and_the_next_one_those_that_follow_row_by_row(rare: Path) -> None:
    rows = read_changed_rows(rare, CLASSES, oversampled(*PLAIN, when="during", copies=1, share=0.5), SEED)
    plain = read_changed_rows(rare, CLASSES, params(PLAIN, 30), SEED)
    copies = np.repeat([1, 3, 10], [40, 8, 2])

    assert len(rows) == copies.sum() == 40 + 8 * 3 + 2 * 10
    everything, [labels] = plain.batch(np.arange(30 * ROWS), 1)
    for epoch in (1, 2, 3):
        columns, [found] = rows.batch(np.arange(len(rows)), epoch)
        expected = {(row, (epoch - 1) * copies[row] + n) for row in range(ROWS) for n in range(copies[row])}
        made = Counter((int(label), pixels.tobytes()) for label, pixels in zip(found, columns["image"], strict=True))
        wanted = [n * ROWS + row for row, n in expected]
        assert made == Counter((int(labels[n]), everything["image"][n].tobytes()) for n in wanted)


@pytest.mark.long
@given(order=st.permutations(range(84)), cut=st.integers(0, 84))
def test_a_row_of_an_epoch_is_the_same_in_whatever_batch_it_stands(rare: Path, order: list[int], cut: int) -> None:
    rows = read_changed_rows(rare, CLASSES, oversampled(*PLAIN, when="during", copies=1, share=0.5), SEED)
    whole, _ = rows.batch(np.arange(84), 2)
    pieces = [rows.batch(part, 2)[0]["image"] for part in np.split(np.array(order), [cut])]

    assert np.array_equal(np.concatenate(pieces), whole["image"][order])


def test_examples_are_of_rows_that_have_copies_and_say_how_many(rare: Path, tmp_path: Path) -> None:
    manifest = write_examples(rare, tmp_path, seed=SEED, params=oversampled(*PLAIN, share=0.5))

    assert manifest.counts["copies"] == 0
    assert manifest.counts["copies_by_class"] == {"class 0": 0, "class 1": 2, "class 2": 9}
    assert set(read_rows(tmp_path).labels.tolist()) == {1, 2}
    assert len(read_rows(tmp_path)) == 8 * 7


def test_examples_of_repeated_rows_are_none(rare: Path, tmp_path: Path) -> None:
    assert write_examples(rare, tmp_path, seed=SEED, params=oversampled()).rows == 0


def test_where_no_class_is_rare_no_copy_is_added_and_there_are_no_examples(training: Path, tmp_path: Path) -> None:
    even = read_manifest(training).changed(counts={"classes": {f"class {n}": 16 for n in range(CLASSES)}})
    for folder in (copy_of := tmp_path / "train"), tmp_path / "examples":
        folder.mkdir()
    for entry in even.files:
        (copy_of / entry.path).write_bytes((training / entry.path).read_bytes())
    write_manifest(copy_of, even)

    found = write_examples(copy_of, tmp_path / "examples", seed=SEED, params=oversampled(*PLAIN))
    assert (found.rows, found.counts["copies_by_class"]) == (0, {f"class {n}": 0 for n in range(CLASSES)})
