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
    "regularized": lambda x: layers.Dense(4, kernel_regularizer="l2", activity_regularizer="l1", name="dense")(x),
    "a loss of its own": lambda x: with_loss(lambda inputs: tf.reduce_mean(inputs**2))(x),
    "frozen": lambda x: layers.Dense(4, trainable=False, name="dense")(x),
    "batch normalization": lambda x: layers.BatchNormalization(name="norm")(x),
    "frozen batch normalization": lambda x: layers.BatchNormalization(trainable=False, name="norm")(x),
    "constants": lambda x: layers.Normalization(mean=1.0, variance=2.0, name="normalization")(x),
    "normalization of a row": lambda x: layers.LayerNormalization(name="norm")(x),
    "recurrent": lambda x: layers.LSTM(4, dropout=0.2, name="lstm")(layers.Reshape((4, 2), name="steps")(x)),
    "dropout": lambda x: layers.Dropout(0.5, name="dropout")(x),
    "noise": lambda x: layers.GaussianNoise(0.5, name="noise")(x),
    "nested dropout": lambda x: nested(layers.Dropout(0.5, name="dropout"))(x),
    "random numbers of one seed": lambda x: calling(lambda layer, y, _: y + keras.random.uniform((8, 8), seed=3))(x),
    "a counter": lambda x: Counting(name="counting")(x),
}


def nested(layer: Any) -> Any:
    return keras.Sequential([layers.Dense(8, name="dense"), layer], name="block")


@pytest.mark.parametrize("body", FINE.values(), ids=FINE)
def test_what_a_training_honours_is_let_through_and_left_as_it_was(body: Any) -> None:
    model = network(body)
    before = [np.asarray(variable).copy() for variable in model.variables]
    examine(model)
    assert all(
        np.array_equal(value, np.asarray(variable)) for value, variable in zip(before, model.variables, strict=True)
    )


@pytest.mark.parametrize(
    "numbers",
    [
        lambda: tf.random.normal((8, 8)),
        lambda: tf.random.shuffle(tf.ones((8, 8))),
        lambda: keras.random.uniform((8, 8)),
    ],
    ids=["of TensorFlow", "shuffled", "of nobody's seed"],
)
def test_random_numbers_that_no_run_could_repeat_are_refused(numbers: Any) -> None:
    line = refused(network(lambda x: calling(lambda layer, y, _: y + numbers())(x)))
    assert re.search(r"^model: .*draws random numbers that no run could repeat; .* keras\.random\.SeedGenerator", line)


@pytest.mark.parametrize("call", [tf.numpy_function, tf.py_function], ids=["numpy_function", "py_function"])
def test_a_call_of_python_is_refused_because_nobody_knows_what_it_does(call: Any) -> None:
    def does(layer: Any, y: Any, training: bool) -> Any:
        return tf.ensure_shape(call(lambda values: np.asarray(values), [y], tf.float32), y.shape)

    assert re.search(
        r"^model: layer \S+ \(\w+\) calls Python while it trains", refused(network(lambda x: calling(does)(x)))
    )


def test_a_variable_that_is_changed_past_keras_is_refused() -> None:
    def body(x: Any) -> Any:
        hidden = tf.Variable(0.0)

        def does(layer: Any, y: Any, training: bool) -> Any:
            hidden.assign_add(1.0)
            return y

        return calling(does)(x)

    assert re.search(r"layer own \(Calling\) changes a variable of TensorFlow.*add_weight", refused(network(body)))


class Whole(layers.Layer):
    """A layer that counts in whole numbers."""

    def build(self, shape: Any) -> None:
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, dtype="int32", name="seen")

    def call(self, inputs: Any) -> Any:
        self.seen.assign_add(1)
        return inputs


def test_state_that_has_no_mean_is_refused() -> None:
    assert "a step changes whole/seen, which is int32" in refused(network(Whole(name="whole")))


def test_a_weight_that_a_call_changes_is_refused() -> None:
    inner = layers.Dense(4, name="dense")
    line = refused(network(layers.SpectralNormalization(inner, name="spectral")))
    assert "a call changes weight spectral/dense/kernel, which the optimizer trains" in line


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
