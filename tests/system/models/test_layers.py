"""Layers that give ranks, together, what they give one: at any depth, and whatever their names."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.models.layers import Place, batch_normalization, placed, position_dropout

ROWS = np.ones((8, 6), np.float32)


def place(rank: int = 0, step: int = 3, seed: int = 5, stack: Any = None) -> Place:
    return Place(seed, tf.constant(step, tf.int64), rank, stack or (lambda values, name: values[None]))


def passed(layer: Any, rows: Any, where: Place) -> Any:
    with placed(where):
        return np.asarray(layer(rows, training=True))


def test_each_rank_drops_the_units_that_one_rank_drops_in_its_rows() -> None:
    layer = position_dropout(0.5, "dropout")
    whole = passed(layer, ROWS, place())
    shares = [passed(layer, ROWS[rank * 2 : rank * 2 + 2], place(rank)) for rank in range(4)]
    assert np.array_equal(np.concatenate(shares), whole)
    assert 0 < np.count_nonzero(whole) < whole.size
    assert set(np.unique(whole)) == {0.0, 2.0}


def test_its_share_of_units_is_dropped_and_the_mean_is_kept() -> None:
    mask = passed(position_dropout(0.4, "dropout"), np.ones((20_000, 7), np.float32), place())
    assert (mask == 0).mean() == pytest.approx(0.4, abs=0.01)
    assert mask.mean() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("change", [{"step": 4}, {"seed": 6}])
def test_another_step_or_seed_drops_other_units(change: dict[str, int]) -> None:
    layer = position_dropout(0.5, "dropout")
    assert not np.array_equal(passed(layer, ROWS, place(**change)), passed(layer, ROWS, place()))


def test_outside_a_training_and_in_a_trial_nothing_is_dropped() -> None:
    layer = position_dropout(0.5, "dropout")
    assert np.array_equal(np.asarray(layer(ROWS, training=True)), ROWS)
    assert np.array_equal(passed(layer, ROWS, Place(5, 3, 0, None)), ROWS)
    with placed(place()):
        assert np.array_equal(np.asarray(layer(ROWS, training=False)), ROWS)


def block() -> Any:
    inputs = keras.Input((6,))
    return keras.Model(inputs, position_dropout(0.5, "dropout")(inputs))


class Holding(keras.layers.Layer):
    """A layer that keeps layers where Keras has to look for them."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = {"first": [position_dropout(0.5, "dropout")], "second": (position_dropout(0.5, "dropout"),)}

    def call(self, inputs: Any, training: bool = False) -> Any:
        return tf.stack([kept[0](inputs, training=training) for kept in self.kept.values()])


def test_two_dropouts_of_one_name_drop_other_units() -> None:
    first, second = passed(Holding(), ROWS, place())
    assert not np.array_equal(first, second)
    blocks = [block(), block()]
    with placed(place()):
        first, second = (np.asarray(each(ROWS, training=True)) for each in blocks)
    assert not np.array_equal(first, second)


def test_a_dropout_called_twice_in_a_step_drops_other_units_each_time() -> None:
    layer = position_dropout(0.5, "dropout")
    with placed(place()):
        first, second = (np.asarray(layer(ROWS, training=True)) for _ in range(2))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, passed(layer, ROWS, place()))


def test_rows_of_several_entries_each_are_placed_too() -> None:
    layer = position_dropout(0.5, "dropout")
    entries = np.ones((8 * 3, 6), np.float32)
    shares = [passed(layer, entries[rank * 12 : rank * 12 + 12], place(rank)) for rank in range(2)]
    assert np.array_equal(np.concatenate(shares), passed(layer, entries, place()))


def of_all_ranks(shares: list[Any], rank: int) -> Any:
    """Return a `stack` that knows what the other ranks would send."""
    sent = [tf.stack(tf.nn.moments(share, [0])) for share in shares]
    return lambda values, name: tf.stack([values if other == rank else sent[other] for other in range(len(shares))])


def test_batch_normalization_is_over_the_rows_of_all_ranks() -> None:
    rows = np.random.default_rng(1).normal(3.0, 2.0, (12, 4)).astype(np.float32)
    whole, apart = batch_normalization("norm"), batch_normalization("norm")
    expected = passed(whole, rows, place())
    shares = np.split(rows, 3)
    found = [passed(apart, shares[rank], place(rank, stack=of_all_ranks(shares, rank))) for rank in range(3)]
    assert np.concatenate(found) == pytest.approx(expected, abs=1e-5)
    assert expected.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-5)
    assert expected.std(axis=0) == pytest.approx(np.ones(4), abs=1e-3)


def test_batch_normalization_computes_what_keras_own_does() -> None:
    rows = np.random.default_rng(1).normal(3.0, 2.0, (10, 5, 4)).astype(np.float32)
    ours, theirs = batch_normalization("norm", momentum=0.9), keras.layers.BatchNormalization(momentum=0.9, name="norm")
    assert passed(ours, rows, place()) == pytest.approx(np.asarray(theirs(rows, training=True)), abs=1e-5)
    assert [variable.path for variable in ours.variables] == [variable.path for variable in theirs.variables]
    for our, their in zip(ours.variables, theirs.variables, strict=True):
        assert np.asarray(our) == pytest.approx(np.asarray(their), rel=1e-5)
    assert np.asarray(ours(rows)) == pytest.approx(np.asarray(theirs(rows)), abs=1e-5)


def test_a_frozen_batch_normalization_keeps_its_averages() -> None:
    layer = batch_normalization("norm")
    layer.trainable = False
    assert passed(layer, ROWS, place()) == pytest.approx(np.asarray(layer(ROWS)))
    assert np.asarray(layer.moving_mean).tolist() == [0.0] * 6


@pytest.mark.parametrize("make", [lambda: position_dropout(0.25, "own"), lambda: batch_normalization("own")])
def test_a_layer_is_made_again_from_its_settings(make: Any) -> None:
    layer = make()
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
