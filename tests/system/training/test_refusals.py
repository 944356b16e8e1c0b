"""What a training would ignore is refused before it begins, in one line that names the layer and what to do."""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pipeline.errors import UsageError
from pipeline.models.layers import batch_normalization, position_dropout
from tests.system.training.networks import FEATURES, examine, network


def refused(model: Any) -> str:
    with pytest.raises(UsageError) as caught:
        examine(model)
    line = str(caught.value)
    assert "\n" not in line
    return line


class Calling(layers.Layer):
    """A layer that does what it is given."""

    def __init__(self, does: Any, **settings: Any) -> None:
        super().__init__(**settings)
        self.does = does

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.does(self, inputs, training)


def calling(does: Any, name: str = "own") -> Any:
    return Calling(does, name=name)


def with_loss(loss: Any) -> Any:
    def does(layer: Any, inputs: Any, training: bool) -> Any:
        layer.add_loss(loss(inputs))
        return inputs

    return calling(does)


class Counting(layers.Layer):
    """A layer with state that every call changes."""

    def build(self, shape: Any) -> None:
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")

    def call(self, inputs: Any) -> Any:
        self.seen.assign_add(1.0)
        return inputs


FINE = {
    "plain": lambda x: layers.Dense(4, name="dense")(x),
    "shared": lambda x: batch_normalization(name="norm")(position_dropout(0.5, name="dropout")(x)),
    "regularized": lambda x: layers.Dense(4, kernel_regularizer="l2", activity_regularizer="l1", name="dense")(x),
    "a mean as a loss": lambda x: with_loss(lambda inputs: tf.reduce_mean(inputs**2))(x),
    "frozen": lambda x: layers.Dense(4, trainable=False, name="dense")(x),
    "frozen batch normalization": lambda x: layers.BatchNormalization(trainable=False, name="norm")(x),
    "constants": lambda x: layers.Normalization(mean=1.0, variance=2.0, name="normalization")(x),
    "normalization of a row": lambda x: layers.LayerNormalization(name="norm")(x),
    "recurrent": lambda x: layers.LSTM(4, name="lstm")(layers.Reshape((4, 2), name="steps")(x)),
    "dropout of no unit": lambda x: layers.Dropout(0.0, name="dropout")(x),
}


@pytest.mark.parametrize("body", FINE.values(), ids=FINE)
def test_what_a_training_honours_is_let_through_and_left_as_it_was(body: Any) -> None:
    model = network(body)
    before = [np.asarray(variable).copy() for variable in model.variables]
    examine(model)
    assert all(
        np.array_equal(value, np.asarray(variable)) for value, variable in zip(before, model.variables, strict=True)
    )


def nested(layer: Any) -> Any:
    return keras.Sequential([layers.Dense(8, name="dense"), layer], name="block")


RANDOM = {
    "Dropout": (lambda: layers.Dropout(0.5, name="mine"), r"layer mine \(Dropout\)"),
    "GaussianNoise": (lambda: layers.GaussianNoise(0.5, name="mine"), r"layer mine \(GaussianNoise\)"),
    "nested": (lambda: nested(layers.Dropout(0.5, name="mine")), r"layer mine \(Dropout\)"),
    "drawn by hand": (lambda: calling(lambda layer, x, _: x + tf.random.normal(tf.shape(x))), r"layer own \(Calling\)"),
    "of one seed": (
        lambda: calling(lambda layer, x, _: x + keras.random.uniform((8, 8), seed=3)),
        r"layer own \(Calling\)",
    ),
}


@pytest.mark.parametrize(("make", "name"), RANDOM.values(), ids=RANDOM)
def test_random_numbers_that_depend_on_the_share_are_refused(make: Any, name: str) -> None:
    line = refused(network(lambda x: make()(x)))
    assert re.search(rf"^model: {name} draws random numbers .*use position_dropout of pipeline\.models\.layers", line)


@pytest.mark.parametrize("wrap", [lambda layer: layer, nested], ids=["open", "nested"])
@pytest.mark.parametrize("momentum", [0.99, 1.0])
def test_keras_own_batch_normalization_is_refused(wrap: Any, momentum: float) -> None:
    line = refused(network(lambda x: wrap(layers.BatchNormalization(momentum=momentum, name="mine"))(x)))
    assert re.search(r"layer \S*mine \(BatchNormalization\).*use batch_normalization of pipeline\.models\.layers", line)


def test_statistics_over_the_share_are_refused_whoever_takes_them() -> None:
    line = refused(network(lambda x: calling(lambda layer, y, _: y - tf.reduce_mean(y, axis=0))(x)))
    assert "its answer for a row depends on the other rows of the batch" in line


@pytest.mark.parametrize(
    "make",
    [
        lambda: Counting(name="counting"),
        lambda: layers.SpectralNormalization(layers.Dense(4, name="dense"), name="spectral"),
    ],
    ids=["a counter", "spectral normalization"],
)
def test_state_that_a_step_changes_is_refused(make: Any) -> None:
    assert re.search(r"a step changes (counting/seen|spectral/vector_u), state of a layer", refused(network(make())))


def test_a_loss_that_is_a_sum_over_rows_is_refused() -> None:
    line = refused(network(with_loss(lambda inputs: 0.01 * tf.reduce_sum(inputs**2))))
    assert "a loss that layer own adds is not a mean over the rows of the batch" in line


def test_a_sum_that_is_zero_at_the_beginning_is_refused_too() -> None:
    def body(x: Any) -> Any:
        return with_loss(tf.reduce_sum)(layers.Dense(4, kernel_initializer="zeros", name="dense")(x))

    assert "a loss that layer own adds is not a mean" in refused(network(body))


def test_an_activity_regularizer_that_nothing_applies_is_refused() -> None:
    inner = layers.Dense(2, activity_regularizer="l2", kernel_regularizer="l2", name="inner")

    def body(x: Any) -> Any:
        each = layers.TimeDistributed(inner, name="each")(layers.Reshape((4, 2), name="steps")(x))
        return layers.Flatten(name="flatten")(each)

    assert re.search(r"activity regularizer of layer \S*inner is not applied", refused(network(body)))


def test_a_weight_that_nothing_reaches_is_refused_by_its_name() -> None:
    def body(x: Any) -> Any:
        return calling(lambda layer, y, _: tf.stop_gradient(y))(layers.Dense(4, name="cut")(x))

    assert "the loss does not depend on weight cut/kernel" in refused(network(body))


def test_a_weight_that_the_model_does_not_have_is_refused_by_its_name() -> None:
    hidden = layers.Dense(4, name="hidden")
    hidden.build((None, 8))
    assert "uses variable hidden/" in refused(network(layers.Lambda(lambda x: hidden(x), name="lambda")))


def test_two_weights_of_one_name_are_refused() -> None:
    def block() -> Any:
        inputs = keras.Input((8,))
        return keras.Model(inputs, layers.Dense(8, name="dense")(inputs))

    assert "2 weights are called dense/kernel" in refused(network(lambda x: block()(block()(x))))


def test_a_weight_of_another_precision_is_refused() -> None:
    assert "weight dense/kernel is float64" in refused(network(layers.Dense(4, dtype="float64", name="dense")))


def test_a_feature_that_the_model_does_not_use_is_refused() -> None:
    inputs = {spec.name: keras.Input(spec.shape, name=spec.name) for spec in FEATURES}
    model = keras.Model(inputs, layers.Dense(3, name="logits")(inputs["left"]))
    assert refused(model) == "model: does not use feature right; use it, or remove data.features.right"
