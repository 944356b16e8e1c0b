"""Weights of rows on their way into a step: as shares of the training part's mean, beside their targets."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.augmenting import ShardToAugment, augment_shard, augmented_schema
from pipeline.errors import DataError
from pipeline.recipe.recipe import AugmentParams
from pipeline.storage.manifests import read_manifest, write_manifest
from pipeline.storage.row_columns import RowColumns
from pipeline.storage.shards import finish_dataset, read_rows
from pipeline.training.batches import read_part, training_batches, validation_batch
from pipeline.training.changed_rows import read_changed_rows
from pipeline.training.order import EpochOrder
from pipeline.training.row_weights import mean_weight, read_weights, relative
from tests.training.made import image_spec, write_rows

SPEC = image_spec((4, 4, 1)).changed(facts={"image_mean": "float32", "image_std": "float32"})
STEPS = [{"name": "noise", "settings": {"levels": 3.0}}]


def written(folder: Path, weights: list[float] | None, parts: int = 1, rows: int = 0) -> Path:
    count = rows if weights is None else len(weights)
    labels = np.arange(count, dtype=np.int32) % 3
    given = None if weights is None else np.array(weights, np.float64)
    images = np.zeros((count, 4, 4, 1), np.uint8)
    write_rows(folder, [SPEC], {"image": images}, labels, parts=parts, weights=given)
    counted = {"classes": {f"class {label}": int((labels == label).sum()) for label in range(3)}}
    write_manifest(folder, read_manifest(folder).changed(counts=counted))
    return folder


@pytest.mark.parametrize("weights", [[1e6, 1e-6, 1e6, 3.0], [0.1] * 7 + [0.7]])
def test_no_order_of_rows_and_no_number_of_shards_changes_a_bit_of_the_mean(
    tmp_path: Path, weights: list[float]
) -> None:
    mean = mean_weight(written(tmp_path / "a", weights))
    assert mean == mean_weight(written(tmp_path / "b", weights[::-1], parts=2))
    assert mean == pytest.approx(np.mean(np.array(weights, np.longdouble)))


def test_rows_without_weights_have_no_mean_and_bring_nothing(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", None, rows=5)
    assert (mean_weight(folder), read_weights(folder)) == (None, None)
    part = read_part([folder], 3)
    assert (part.is_weighted, len(part.batch(np.arange(2), 1)[1]), len(validation_batch(part, 0, 9)[1])) == (
        False, 1, 1,
    )  # fmt: skip


@pytest.mark.parametrize("weight", [0.0, -1.0, np.inf, np.nan])
def test_what_is_no_weight_is_refused(tmp_path: Path, weight: float) -> None:
    with pytest.raises(DataError, match="a: some weights are not finite numbers above 0"):
        mean_weight(written(tmp_path / "a", [1.0, weight]))


def test_a_mean_of_no_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows, so nothing is known of their weights"):
        mean_weight(written(tmp_path / "a", []))


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=50), st.sampled_from([0.25, 2.0, 1024.0]))
def test_weights_that_are_all_so_many_times_as_large_change_nothing(weights: list[float], times: float) -> None:
    values = np.array(weights)
    found = relative(values, float(np.mean(values)))
    assert found.dtype == np.float32
    assert (found > 0).all()
    assert found.astype(np.float64).mean() == pytest.approx(1.0, rel=1e-5)
    assert np.array_equal(relative(values * times, float(np.mean(values)) * times), found)


def test_a_row_s_weight_goes_with_it(tmp_path: Path) -> None:
    training, more = written(tmp_path / "a", [1.0, 2.0, 3.0], parts=2), written(tmp_path / "b", [4.0, 8.0])
    part = read_part([training, more, written(tmp_path / "none", [])], 3, weight=mean_weight(training))
    assert part.is_weighted
    _, (labels, weights) = part.batch(np.array([4, 0, 2]), 1)
    assert (labels.tolist(), weights.tolist(), weights.dtype) == ([1, 0, 2], [4.0, 0.5, 1.5], np.float32)
    _, (labels, weights) = validation_batch(part, 1, 2)
    assert (labels.tolist(), weights.tolist()) == ([2, 0], [1.5, 2.0])


def test_rows_without_a_weight_beside_others_are_refused(tmp_path: Path) -> None:
    training = written(tmp_path / "a", [1.0, 2.0])
    with pytest.raises(DataError, match="b: its rows have no weights, and those they stand beside have"):
        read_part([training, written(tmp_path / "b", None, rows=2)], 3, weight=1.5)


def params(when: str, *steps: dict[str, Any], copies: int = 2) -> AugmentParams:
    return AugmentParams.model_validate({"when": when, "copies": copies, "steps": [*STEPS, *steps]})


@pytest.mark.parametrize("more", [[], [{"name": "oversample", "settings": {"share": 1.0}}]], ids=["all", "rare"])
def test_a_copy_has_the_weight_of_its_row_written_or_made_in_each_epoch(
    tmp_path: Path, more: list[dict[str, Any]]
) -> None:
    weights = [float(1 + row) for row in range(10)]
    training, mean = written(tmp_path / "train", weights), 5.5
    by_class = np.array([2, 2, 3]) if more else None
    manifest, folder = read_manifest(training), tmp_path / "augmented"
    folder.mkdir()
    shard = augment_shard(ShardToAugment(0, 0, by_class), training, folder, 4, params("before", *more))
    schema = augmented_schema(manifest.features, RowColumns.found(manifest.columns))
    finish_dataset(folder, [shard.entry], schema, features=manifest.features)
    ids, found = read_rows(folder).ids, read_weights(folder)
    assert found is not None
    assert found.tolist() == [weights[int(name.split("-")[1])] for name in ids]

    rows = read_changed_rows(training, 3, params("during", *more), 4, weight=mean)
    own = np.arange(len(rows)) % 10 if rows.added is None else rows.added.rows
    assert rows.is_weighted
    for epoch in (1, 2):
        _, (labels, shares) = rows.batch(np.arange(len(rows)), epoch)
        assert np.array_equal(shares, relative(np.array(weights), mean)[own])
        assert np.array_equal(labels, own % 3)


def test_a_micro_batch_has_its_rows_weights_whichever_rank_carries_it(tmp_path: Path) -> None:
    folder = written(tmp_path / "a", [float(1 + row) for row in range(20)])
    part, order = read_part([folder], 3, weight=1.0), EpochOrder(20, 7, 1)

    def weights(block: range) -> list[list[list[float]]]:
        return [[batch[1][-1].tolist() for batch in step] for step in training_batches(part, order, 1, 8, block, 4)]

    alone = weights(range(4))
    assert [list(chain.from_iterable(step)) for step in alone] == [
        (1.0 + order.rows(8 * n, 8 * n + 8)).tolist() for n in range(2)
    ]
    assert [[*one, *two] for one, two in zip(weights(range(2)), weights(range(2, 4)), strict=True)] == alone
