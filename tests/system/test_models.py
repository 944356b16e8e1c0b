"""Models as TensorFlow builds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.errors import DataError
from pipeline.models import stored
from pipeline.models.build import build, set_weights
from pipeline.records.architecture import Architecture

CLASSES = ("one", "two", "three")
RGB = Architecture(
    name="cnn",
    settings={"filters": [4, 8], "dense": 6, "dropout": 0.5},
    input_shape=(12, 10, 3),
    classes=CLASSES,
    statistics={"mean": (10.0, 100.0, 200.0), "std": (5.0, 50.0, 0.0)},
)
GREY = RGB.changed(input_shape=(8, 8, 1), statistics={"mean": (72.0,), "std": (90.0,)})
SMALL = [
    RGB,
    GREY.changed(settings={"filters": [4, 4, 4, 4, 4]}),
    GREY.changed(name="mlp", settings={"units": [8], "dropout": 0.2}),
]


def images(architecture: Architecture, rows: int = 5) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (rows, *architecture.input_shape)).astype(np.uint8)


@pytest.mark.parametrize("architecture", SMALL, ids=lambda a: f"{a.name}-{a.input_shape[0]}")
def test_raw_pixels_go_in_and_probabilities_come_out(architecture: Architecture) -> None:
    model = build(architecture)
    answer = model(images(architecture)).numpy()
    assert answer.shape == (5, len(CLASSES))
    assert answer.dtype == np.float32
    assert answer.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-6)
    assert model.input.dtype == "uint8"


def test_the_normalisation_is_inside_and_a_flat_channel_is_not_divided_by_zero() -> None:
    import keras

    model = build(RGB)
    normalised = keras.Model(model.input, model.get_layer("normalise").output)
    pixel = np.full((1, 12, 10, 3), [15, 200, 201], np.uint8)
    assert normalised(pixel).numpy()[0, 0, 0] == pytest.approx([1.0, 2.0, 1.0], abs=1e-5)


def test_a_stored_model_answers_as_it_did(tmp_path: Path) -> None:
    model = build(RGB)
    stored.save(tmp_path / "model", RGB, model)
    again = stored.load(tmp_path / "model")
    assert again(images(RGB)).numpy().tobytes() == model(images(RGB)).numpy().tobytes()
    described = stored.read_architecture(tmp_path / "model")
    assert (described.parameters, described.classes) == (model.count_params(), CLASSES)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    stored.save(tmp_path, RGB, build(RGB))
    with pytest.raises(DataError, match=r"weight convolution_0/kernel has shape .*train it again"):
        set_weights(build(SMALL[1]), stored.read_weights(tmp_path), "here")


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
