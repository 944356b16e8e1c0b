"""A step minimises the recipe's loss and what the model adds to it, with the recipe's optimizer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pipeline.errors import UsageError
from pipeline.recipe.slots import Choice
from pipeline.training.collective import SingleProcess
from pipeline.training.objective import objective_of
from pipeline.training.optimizers import sgd as sgd_file
from pipeline.training.step import Score, draws, make_optimizer, validate
from tests.system.training.networks import FEATURES, RATE, ROWS, first_batches, network, part, sgd, step_of


def stepped(body: Any, virtual_workers: int = 1) -> tuple[Any, dict[str, float], list[Any]]:
    """Take one step; return the model, the figures, and the weights as they were."""
    model = network(body)
    before = [np.asarray(variable).copy() for variable in model.trainable_variables]
    step = step_of(model, sgd(model), virtual_workers)
    figures = step(first_batches(virtual_workers), 0)
    return model, dict(zip(step.names, figures.tolist(), strict=True)), before


def test_the_figures_are_the_loss_and_the_tasks() -> None:
    _, figures, _ = stepped(lambda x: x)
    assert list(figures) == ["loss", "accuracy"]


def test_a_penalty_is_minimised_and_stands_beside_the_loss() -> None:
    plain, without, _ = stepped(layers.Dense(4, name="dense"))
    decayed, figures, before = stepped(layers.Dense(4, kernel_regularizer=keras.regularizers.L2(0.5), name="dense"))
    assert figures["loss"] == pytest.approx(without["loss"])
    assert figures["penalty"] == pytest.approx(0.5 * float((before[0] ** 2).sum()), rel=1e-5)
    expected = np.asarray(plain.trainable_variables[0]) - RATE * 2 * 0.5 * before[0]
    assert np.asarray(decayed.trainable_variables[0]) == pytest.approx(expected, abs=1e-6)


def test_an_activity_is_penalised_as_a_mean_over_rows() -> None:
    model, figures, before = stepped(layers.Dense(4, activity_regularizer=keras.regularizers.L2(1.0), name="dense"))
    del model
    rows = np.concatenate([part().columns[spec.name][:ROWS] for spec in FEATURES], axis=1)
    assert figures["penalty"] == pytest.approx(float(((rows @ before[0] + before[1]) ** 2).sum()) / ROWS, rel=1e-5)


def test_virtual_workers_learn_what_one_does() -> None:
    one, figures, _ = stepped(layers.Dense(4, activity_regularizer="l2", name="dense"))
    four, of_four, _ = stepped(layers.Dense(4, activity_regularizer="l2", name="dense"), virtual_workers=4)
    assert of_four == pytest.approx(figures, rel=1e-5)
    for whole, cut in zip(one.trainable_variables, four.trainable_variables, strict=True):
        assert np.asarray(cut) == pytest.approx(np.asarray(whole), abs=1e-6)


def test_averages_are_the_mean_of_what_the_virtual_workers_make_of_them() -> None:
    model, _, _ = stepped(layers.BatchNormalization(momentum=0.9, name="norm"), virtual_workers=2)
    rows = np.concatenate([part().columns[spec.name][:ROWS] for spec in FEATURES], axis=1)
    norm = model.get_layer("norm")
    assert np.asarray(norm.moving_mean) == pytest.approx(0.1 * rows.mean(axis=0), abs=1e-6)
    variance = np.mean([half.var(axis=0) for half in np.split(rows, 2)], axis=0)
    assert np.asarray(norm.moving_variance) == pytest.approx(0.9 + 0.1 * variance, abs=1e-5)


def tensor_of(seed: int = 1, number: int = 0, virtual_worker: int = 0) -> bytes:
    """Return what a virtual worker with the first rows gives, of a model with dropout."""
    model = network(lambda x: layers.Dropout(0.5, name="dropout")(x))
    [batch] = first_batches()
    return bytes(np.asarray(step_of(model, sgd(model), seed=seed).micro_batch(batch, number, virtual_worker)))


def test_what_is_dropped_depends_on_seed_step_and_virtual_worker_alone() -> None:
    first = tensor_of()
    assert tensor_of() == first
    assert len({first, tensor_of(seed=2), tensor_of(number=1), tensor_of(virtual_worker=1)}) == 4


def test_no_two_random_states_are_the_same() -> None:
    drawn = {
        tuple(np.asarray(state).tolist())
        for step in range(20)
        for worker in range(10)
        for state in draws(7, tf.constant(step, tf.int64), tf.constant(worker, tf.int64), 5)
    }
    assert len(drawn) == 20 * 10 * 5


def test_a_dropout_drops_other_units_each_time_it_is_called_and_so_does_another() -> None:
    class Differing(layers.Layer):
        def __init__(self) -> None:
            super().__init__(name="differing")
            self.kept = {"one": [layers.Dropout(0.5, name="same")], "other": layers.Dropout(0.5, name="same")}

        def call(self, inputs: Any, training: bool = False) -> Any:
            ones, [one], other = tf.ones((ROWS, 50)), self.kept["one"], self.kept["other"]
            first, second, third = (each(ones, training=training) for each in (one, one, other))
            same = [tf.reduce_mean(tf.cast(a == b, tf.float32)) for a, b in ((first, second), (first, third))]
            self.add_loss(tf.reduce_max(same))
            return inputs

    _, figures, _ = stepped(lambda x: Differing()(x))
    assert figures["penalty"] == pytest.approx(0.5, abs=0.15)


def test_a_constraint_holds_after_the_step() -> None:
    model, _, before = stepped(layers.Dense(4, kernel_constraint=keras.constraints.MaxNorm(0.1), name="dense"))
    assert np.linalg.norm(before[0], axis=0).max() > 0.2
    assert np.linalg.norm(np.asarray(model.trainable_variables[0]), axis=0).max() <= 0.1 + 1e-6


def test_rare_words_have_gradients_too() -> None:
    def body(x: Any) -> Any:
        words = layers.Lambda(lambda y: tf.cast(y > 0, tf.int32), name="words")(x)
        return layers.Flatten(name="flatten")(layers.Embedding(2, 3, name="embedding")(words))

    model, _, before = stepped(body)
    assert not np.array_equal(np.asarray(model.trainable_variables[0]), before[0])


def test_an_optimizer_that_scales_the_loss_takes_the_same_step(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, _, _ = stepped(lambda x: x)
    monkeypatch.setattr(sgd_file, "build", lambda settings, rate: keras.optimizers.SGD(rate, loss_scale_factor=64.0))
    scaled, _, _ = stepped(lambda x: x)
    for one, other in zip(plain.trainable_variables, scaled.trainable_variables, strict=True):
        assert np.asarray(other) == pytest.approx(np.asarray(one), abs=1e-6)


REFUSED = {
    "no optimizer": (lambda rate: object(), "build returned object, not an optimizer of Keras"),
    "a schedule of its own": (
        lambda rate: keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(rate, 10, 0.5)),
        "has a schedule of its own",
    ),
    "averaged weights": (lambda rate: keras.optimizers.SGD(rate, use_ema=True), "use_ema averages weights"),
}


@pytest.mark.parametrize(("make", "said"), REFUSED.values(), ids=REFUSED)
def test_an_optimizer_of_which_something_would_be_ignored_is_refused(
    monkeypatch: pytest.MonkeyPatch, make: Any, said: str
) -> None:
    monkeypatch.setattr(sgd_file, "build", lambda settings, rate: make(rate))
    with pytest.raises(UsageError, match=rf"^pipeline/training/optimizers/sgd\.py: {said}"):
        make_optimizer(Choice(name="sgd"), RATE, network(lambda x: x))


def test_validation_is_the_mean_over_all_rows_without_penalties() -> None:
    model = network(layers.Dense(4, kernel_regularizer="l2", name="dense"))
    objective = objective_of(Choice(name="classification"), Choice(name="cross_entropy"), 3)
    found = validate(Score(model, objective, FEATURES), part(), SingleProcess())
    logits = np.asarray(model(part().columns))
    shifted = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(16), part().labels]
    assert found == pytest.approx({"loss": shifted.mean(), "accuracy": (logits.argmax(1) == part().labels).mean()})
