"""Small networks and what trains them, in this process: two features, three classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.recipe.recipe import TrainParams
from pipeline.recipe.slots import Choice
from pipeline.records.feature import FeatureSpec
from pipeline.training import refusals
from pipeline.training.batches import Batch, Part
from pipeline.training.collective import SingleProcess
from pipeline.training.objective import objective_of
from pipeline.training.step import TrainingStep, make_optimizer

FEATURES = tuple(FeatureSpec(name=name, kind="number", dtype="float32", shape=(4,)) for name in ("left", "right"))
ROWS = 8  # of a batch
RATE = 0.1

Body = Callable[[Any], Any]


def part() -> Part:
    """Return 16 random rows."""
    numbers = np.random.default_rng(1)
    columns = {spec.name: numbers.normal(size=(16, 4)).astype(np.float32) for spec in FEATURES}
    return Part(columns, (numbers.integers(0, 3, 16).astype(np.int32),))


def network(body: Body) -> Any:
    """Return a model whose logits are a dense layer on what `body` makes of both features, `[batch, 8] float32`."""
    import keras

    keras.utils.set_random_seed(1)
    inputs = {spec.name: keras.Input(spec.shape, name=spec.name) for spec in FEATURES}
    joined = keras.layers.Concatenate(name="joined")(list(inputs.values()))
    return keras.Model(inputs, keras.layers.Dense(3, name="logits")(body(joined)))


def step_of(model: Any, optimizer: Any, virtual_workers: int = 1, seed: int = 1) -> TrainingStep:
    """Return the step of one rank that trains a model."""
    objective = objective_of(Choice(name="classification"), Choice(name="cross_entropy"), 3)
    train = TrainParams(epochs=1, batch_size=ROWS, virtual_workers=virtual_workers, learning_rate=RATE)
    return TrainingStep(model, optimizer, objective, FEATURES, train, seed, [RATE, RATE], SingleProcess())


def first_batches(virtual_workers: int = 1) -> list[Batch]:
    """Return the first rows, cut for virtual workers."""
    rows = np.arange(ROWS).reshape(virtual_workers, -1)
    return [part().batch(own, 1) for own in rows]


def sgd(model: Any) -> Any:
    """Return plain gradient descent on a model."""
    return make_optimizer(Choice(name="sgd"), RATE, model)


def examine(model: Any) -> None:
    """Do with a model what the loop does before its first epoch."""
    refusals.refuse_weights(model)
    refusals.refuse_graph(step_of(model, sgd(model)), model, FEATURES)
