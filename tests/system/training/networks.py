"""Small networks and what trains them, in this process: two features, three classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.recipe.slots import Choice
from pipeline.records.feature import FeatureSpec
from pipeline.training import refusals
from pipeline.training.batches import Part
from pipeline.training.collective import SingleProcess
from pipeline.training.objective import objective_of
from pipeline.training.step import TrainingStep, make_optimizer

FEATURES = tuple(FeatureSpec(name=name, kind="number", dtype="float32", shape=(4,)) for name in ("left", "right"))
SHARE = 8
RATE = 0.1

Body = Callable[[Any], Any]


def part() -> Part:
    """Return 16 random rows."""
    numbers = np.random.default_rng(1)
    columns = {spec.name: numbers.normal(size=(16, 4)).astype(np.float32) for spec in FEATURES}
    return Part(columns, numbers.integers(0, 3, 16).astype(np.int32))


def network(body: Body) -> Any:
    """Return a model whose logits are a dense layer on what `body` makes of both features, `[batch, 8] float32`."""
    import keras

    keras.utils.set_random_seed(1)
    inputs = {spec.name: keras.Input(spec.shape, name=spec.name) for spec in FEATURES}
    joined = keras.layers.Concatenate(name="joined")(list(inputs.values()))
    return keras.Model(inputs, keras.layers.Dense(3, name="logits")(body(joined)))


def step_of(model: Any, optimizer: Any, rate: float = RATE) -> TrainingStep:
    """Return the step of one rank that trains a model."""
    objective = objective_of(Choice(name="classification"), Choice(name="cross_entropy"), 3)
    return TrainingStep(model, optimizer, objective, FEATURES, SHARE, 1, [rate], SingleProcess())


def sgd(model: Any) -> Any:
    """Return plain gradient descent on a model."""
    return make_optimizer(Choice(name="sgd"), RATE, model)


def examine(model: Any) -> None:
    """Do with a model what the loop does before its first epoch."""
    refusals.refuse_layers(model)
    optimizer = sgd(model)
    step = step_of(model, optimizer)
    refusals.refuse_graph(step, model, optimizer, FEATURES)
    refusals.refuse_behaviour(step, model, optimizer, part(), SHARE)
