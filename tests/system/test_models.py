"""Dropout as TensorFlow does it; models: tests/system/models."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest


def dropped(model: Any, rows: int, *, seed: int = 5, step: int = 3, first_image: int = 0) -> npt.NDArray[np.float32]:
    import tensorflow as tf

    from pipeline.models.layers import placed_dropout

    with placed_dropout(model, seed, tf.constant(step, tf.int64), first_image):
        answer: npt.NDArray[np.float32] = model(tf.ones((rows, 7)), training=True).numpy()
    return answer


@pytest.fixture(scope="module")
def dropout_model() -> Any:
    import keras

    from pipeline.models.layers import position_dropout

    units = keras.Input((7,))
    return keras.Model(units, position_dropout(0.4, name="dropout")(units))


def test_dropout_does_not_depend_on_how_a_batch_is_shared_out(dropout_model: Any) -> None:
    shares = [dropped(dropout_model, 4, first_image=first) for first in (0, 4, 8)]
    assert np.array_equal(np.concatenate(shares), dropped(dropout_model, 12))


def test_dropout_is_another_for_each_step_and_seed(dropout_model: Any) -> None:
    mask = dropped(dropout_model, 12)
    assert np.array_equal(mask, dropped(dropout_model, 12))
    assert not np.array_equal(mask, dropped(dropout_model, 12, step=4))
    assert not np.array_equal(mask, dropped(dropout_model, 12, seed=6))


def test_dropout_silences_its_share_and_keeps_the_mean(dropout_model: Any) -> None:
    mask = dropped(dropout_model, 20_000)
    assert (mask == 0).mean() == pytest.approx(0.4, abs=0.01)
    assert mask.mean() == pytest.approx(1.0, abs=0.02)
    assert np.array_equal(dropout_model(np.ones((2, 7), np.float32)).numpy(), np.ones((2, 7)))
