from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.records.feature import FeatureSpec
from pipeline.storage import shards
from pipeline.training.batches import (
    Part,
    micro_batch_rows,
    rank_share,
    read_part,
    step_count,
    training_batches,
    validation_batch,
)
from pipeline.training.order import EpochOrder
from pipeline.training.tree import block_of
from tests.training.made import image_spec, write_rows

WriteImages = Callable[..., Path]
seeds = st.integers(0, 2**63 - 1)


@pytest.mark.long
@given(rows=st.integers(1, 300), virtual=st.integers(1, 8), share=st.integers(1, 20), seed=seeds)
def test_the_micro_batches_of_a_step_are_its_global_batch_cut_equally(
    rows: int, virtual: int, share: int, seed: int
) -> None:
    order, size = EpochOrder(rows, seed, 1), virtual * share
    steps = range(step_count(rows, size))
    cuts = micro_batch_rows(order, steps, size, range(virtual), virtual)
    assert cuts.shape == (len(steps), virtual, share)
    assert np.array_equal(cuts.ravel(), order.rows(0, len(steps) * size))


@given(rows=st.integers(1, 300), ranks=st.integers(1, 4), each=st.integers(1, 3), share=st.integers(1, 10), seed=seeds)
def test_a_micro_batch_is_the_same_whichever_rank_carries_it(
    rows: int, ranks: int, each: int, share: int, seed: int
) -> None:
    part = Part({"size": np.arange(rows)}, (np.zeros(rows, np.int32),))
    order, virtual = EpochOrder(rows, seed, 1), ranks * each

    def sizes(block: range) -> list[list[list[int]]]:
        steps = training_batches(part, order, 1, virtual * share, block, virtual)
        return [[columns["size"].tolist() for columns, _ in batches] for batches in steps]

    alone = sizes(range(virtual))
    for rank in range(ranks):
        block = block_of(rank, ranks, virtual)
        assert sizes(block) == [batches[block.start : block.stop] for batches in alone]


def test_a_batch_may_be_larger_than_what_is_worked_out_at_once() -> None:
    part = Part({"size": np.arange(20_000)}, (np.zeros(20_000, np.int32),))
    batches = list(training_batches(part, EpochOrder(20_000, 1, 1), 1, 10_000, range(1), 1))
    seen = np.concatenate([columns["size"] for [(columns, _)] in batches])
    assert sorted(seen) == list(range(20_000))


@given(rows=st.integers(0, 300), workers=st.integers(1, 12), size=st.integers(1, 64))
def test_validation_covers_every_row_once_over_all_ranks(rows: int, workers: int, size: int) -> None:
    part = Part({"size": np.arange(rows)}, (np.arange(rows, dtype=np.int32),))
    batches = -(-rows // size)
    shares = [rank_share(batches, rank, workers) for rank in range(workers)]
    seen = [label for share in shares for number in share for label in validation_batch(part, number, size)[1][0]]
    assert seen == list(range(rows))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_batch_holds_each_row_with_its_own_label(write_images: WriteImages) -> None:
    part = read_part([write_images("train", 250, parts=3)], 3)
    order = EpochOrder(250, 7, 1)
    for batches in training_batches(part, order, 1, 50, range(2), 5):
        for columns, [labels] in batches:
            assert np.array_equal(columns["image"][:, 0, 0, 0] % 3, labels)


def test_data_sets_follow_each_other_in_their_order(write_images: WriteImages) -> None:
    part = read_part([write_images("train", 30, parts=2), write_images("more", 5), write_images("none", 0)], 3)
    assert part.columns["image"].shape == (35, 8, 8, 1)
    assert part.columns["image"][:][:, 3, 4, 0].tolist() == [*range(30), *range(5)]


def test_of_a_row_a_part_keeps_its_label_alone(write_images: WriteImages) -> None:
    rows, folder = 20_000, write_images("train", 20_000)
    read_part([folder], 3)  # what is imported stays
    tracemalloc.start()
    part = read_part([folder], 3)
    kept_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert part.columns["image"][0:1].nbytes == 64
    assert 4 * rows <= kept_bytes < 6 * rows


@pytest.mark.parametrize("label", [3, -1])
def test_a_label_without_a_class_is_refused(write_images: WriteImages, label: int) -> None:
    with pytest.raises(DataError, match=rf"labels reach from {label} to {label}, but data\.classes names 3"):
        read_part([write_images("train", 4, label=label)], 3)


@pytest.mark.parametrize("spec", [image_spec((8, 9, 1)), image_spec((8, 8, 1), mean=101.0)], ids=["shape", "fitted"])
def test_data_sets_with_other_features_are_refused(write_images: WriteImages, spec: FeatureSpec) -> None:
    with pytest.raises(DataError, match=r"more: other features than .*train; run `dvc repro`"):
        read_part([write_images("train", 4), write_images("more", 4, spec=spec)], 3)


def test_a_row_has_all_of_its_features(tmp_path: Path) -> None:
    size = FeatureSpec(name="size", kind="number", dtype="float32", shape=())
    marks = FeatureSpec(name="marks", kind="number", dtype="int64", shape=(2,))
    rows = np.arange(7)
    columns = {"image": np.zeros((7, 8, 8, 1), np.uint8), "size": rows / 2, "marks": np.stack([rows, -rows], axis=1)}
    folder = write_rows(tmp_path / "train", [image_spec((8, 8, 1)), size, marks], columns, rows % 3, parts=2)
    part = read_part([folder], 3)
    assert {name: (values.dtype.name, values.shape) for name, values in part.columns.items()} == {
        "image": ("uint8", (7, 8, 8, 1)),
        "size": ("float32", (7,)),
        "marks": ("int64", (7, 2)),
    }
    taken, _ = part.batch(np.array([5, 2]), 1)
    assert (taken["size"].tolist(), taken["marks"].tolist()) == ([2.5, 1.0], [[5, -5], [2, -2]])


def mixed(folder: Path, others: list[int], shares: list[float]) -> Path:
    """Give the rows of a data set, in one shard, a second label and the share of the first."""
    table = pq.read_table(folder / "part-00000.parquet")
    table = table.append_column("other_label", pa.array(others, pa.int32()))
    table = table.append_column("share", pa.array(shares, pa.float32()))
    features = shards.read_manifest(folder).features
    entry = shards.write_shard(folder, 0, table.schema, [table])
    shards.finish_dataset(folder, [entry], table.schema, features=features)
    return folder


def test_rows_that_are_not_mixed_are_wholly_their_own_beside_mixed_ones(write_images: WriteImages) -> None:
    plain, more = write_images("train", 2, parts=1), write_images("more", 3)
    part = read_part([plain, mixed(more, [2, 2, 0], [0.25, 1.0, 0.0]), write_images("none", 0)], 3)
    assert part.is_mixed
    _, (labels, others, shares) = part.batch(np.array([4, 1, 2]), 1)
    assert (labels.tolist(), others.tolist(), shares.tolist()) == ([2, 1, 0], [0, 1, 2], [0.0, 1.0, 0.25])
    assert (labels.dtype, others.dtype, shares.dtype) == (np.int32, np.int32, np.float32)


def test_rows_of_one_label_are_not_mixed(write_images: WriteImages) -> None:
    part = read_part([write_images("train", 4)], 3)
    assert (part.is_mixed, len(part.batch(np.arange(2), 1)[1])) == (False, 1)


@pytest.mark.parametrize(
    ("other", "share", "said"),
    [
        (3, 0.5, r"more: labels reach from 3 to 3, but data\.classes names 3"),
        (-1, 0.5, "more: labels reach from -1"),
        (1, 1.01, "more: shares of rows that are not within 0 and 1"),
        (1, -0.01, "more: shares of rows that are not within 0 and 1"),
        (1, float("nan"), "more: shares of rows that are not within 0 and 1"),
    ],
)
def test_a_second_label_without_a_class_and_a_share_that_is_none_are_refused(
    write_images: WriteImages, other: int, share: float, said: str
) -> None:
    more = mixed(write_images("more", 1), [other], [share])
    with pytest.raises(DataError, match=said):
        read_part([write_images("train", 4), more], 3)


def test_a_data_set_without_features_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="train: its manifest names no features"):
        read_part([write_rows(tmp_path / "train", [], {}, np.zeros(3, np.int32))], 3)


def test_a_damaged_shard_is_refused(write_images: WriteImages) -> None:
    folder = write_images("train", 40)
    shard = folder / "part-00000.parquet"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match="do not match the digest"):
        read_part([folder], 3)
