"""What a training would silently ignore, or do otherwise on another number of ranks: it is refused before it begins.

Everything here is found in the model itself: in its layers, in the graph of its step, and by trying it on a few rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pipeline.errors import UsageError
from pipeline.models.layers import DROPOUT_NUMBERS, Place, batch_normalization_class, path_of, placed
from pipeline.records.feature import FeatureSpec
from pipeline.storage.shards import Columns
from pipeline.training.batches import Part
from pipeline.training.step import TrainingStep

_DRAWS = re.compile(r"Random|Multinomial|TruncatedNormal|Stateful(Uniform|StandardNormal)|RngReadAndSkip")
_TRIAL_ROWS = 8
_ALIKE = 1e-3  # relative: rounding differs with the number of rows
_OURS = "pipeline.models.layers"


def refuse_layers(model: Any) -> None:
    """Refuse what can be seen in a model before it is used.

    That is: two weights of one name, of which one would be lost; weights that are not float32, which the exchange could
    not carry; Keras' own batch normalization, which sees a rank's share of the batch only.
    """
    import keras

    for path, number in Counter(variable.path for variable in model.weights).items():
        if number > 1:
            raise UsageError(
                f"model: {number} weights are called {path}; give their layers, or a layer above, two names"
            )
    for variable in model.trainable_variables:
        if variable.dtype != "float32":
            raise UsageError(f"model: weight {variable.path} is {variable.dtype}; weights that are trained are float32")
    for layer in layers_of(model):
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            raise UsageError(
                f"model: layer {path_of(layer)} (BatchNormalization) would normalise over a worker's share of the "
                f"batch; use batch_normalization of {_OURS}"
            )


def refuse_graph(step: TrainingStep, model: Any, optimizer: Any, features: Sequence[FeatureSpec]) -> None:
    """Refuse what can be seen in the graph of a step.

    That is: random numbers that do not depend on the row's position; weights that the model uses and does not have;
    an input that the loss does not depend on; an activity regularizer that no call has applied.
    """
    graph = step.graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    for node in nodes:
        if _DRAWS.search(node.op) and DROPOUT_NUMBERS not in node.name:
            raise UsageError(
                f"model: {_layer_in(node.name, model)} draws random numbers that would differ with the number of "
                f"workers; use position_dropout of {_OURS}, or a step of augment"
            )
    known = {id(variable.value) for variable in [*model.variables, *optimizer.variables]}
    for variable in step.graph.variables:
        if id(variable) not in known:
            raise UsageError(
                f"model: uses variable {variable.name.partition(':')[0]}, which is not the model's own, so it would be "
                "neither trained nor kept; hold its layer as an attribute of the layer that uses it"
            )
    used = _reached(step.graph)
    for placeholder, name in zip(step.graph.inputs, sorted(spec.name for spec in features), strict=False):
        if placeholder.op.name not in used:
            raise UsageError(f"model: does not use feature {name}; use it, or remove data.features.{name}")
    for layer in layers_of(model):
        if getattr(layer, "activity_regularizer", None) is not None and not added_by(layer):
            raise UsageError(
                f"model: the activity regularizer of layer {path_of(layer)} is not applied: the layer around it does "
                "not call it as a layer; put it on that one"
            )


def refuse_behaviour(step: TrainingStep, model: Any, optimizer: Any, part: Part, share: int) -> None:
    """Refuse what shows when a model is tried on the first rows of a part; its weights are as before afterwards.

    That is: state that a step changes and ranks do not share; rows that change each other's logits, other than through
    the batch normalization that ranks share; a loss of a layer that doubles with its rows. All ranks call it together.
    """
    variables = [*model.variables, *optimizer.variables]
    with restored(variables):
        _refuse_state(step, model, part, share)
    with restored(variables):
        _refuse_mixing(model, part)
        _refuse_sums(model, part)


def layers_of(model: Any) -> list[Any]:
    """Return every layer of a model, at any depth: in nested models, wrappers, lists and dictionaries of a layer."""
    layers: list[Any] = model._flatten_layers(include_self=False)  # noqa: SLF001 - `model.layers` is the topmost only
    return layers


def added_by(layer: Any) -> list[Any]:
    """Return the losses that a layer itself has added when it was last called, without those of its layers."""
    losses: list[Any] = layer._losses  # noqa: SLF001 - `layer.losses` has its layers' and its weights' too
    return losses


@contextmanager
def restored(variables: Sequence[Any]) -> Iterator[None]:
    """After the block, the variables have the values that they have now."""
    values = [np.asarray(variable).copy() for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def _refuse_state(step: TrainingStep, model: Any, part: Part, share: int) -> None:
    shared = batch_normalization_class()
    own = {id(variable) for layer in layers_of(model) if isinstance(layer, shared) for variable in layer.variables}
    others = [variable for variable in model.non_trainable_variables if id(variable) not in own]
    if not others:
        return
    before = [np.asarray(variable).copy() for variable in others]
    rows = np.arange(share)
    step(part.columns_at(rows), part.labels[rows], 0)
    for variable, value in zip(others, before, strict=True):
        if not np.array_equal(np.asarray(variable), value, equal_nan=True):
            raise UsageError(
                f"model: a step changes {variable.path}, state of a layer that workers do not share; only "
                f"batch_normalization of {_OURS} may keep some"
            )


def _refuse_mixing(model: Any, part: Part) -> None:
    rows = min(_TRIAL_ROWS, len(part) // 2)
    alone = _try(model, part.columns_at(np.arange(rows)))
    together = _try(model, part.columns_at(np.arange(2 * rows)))[:rows]
    if not np.allclose(alone, together, rtol=_ALIKE, atol=_ALIKE * float(np.abs(alone).max()), equal_nan=True):
        raise UsageError(
            "model: its answer for a row depends on the other rows of the batch, so it would differ with the number of "
            f"workers; only batch_normalization of {_OURS} may do that"
        )


def _refuse_sums(model: Any, part: Part) -> None:
    """Try the losses that layers add when they are called on rows, and on the same rows twice: a mean is the same."""
    numbers = np.random.default_rng(0)
    for variable in model.trainable_variables:  # zeros, as biases begin, can hide what a loss is
        variable.assign(variable + 0.01 * numbers.standard_normal(variable.shape))
    rows = np.arange(min(_TRIAL_ROWS, len(part)))
    once, twice = (_losses(model, part.columns_at(each)) for each in (rows, np.tile(rows, 2)))
    for layer, loss, doubled in zip(layers_of(model), once, twice, strict=True):
        if not np.allclose(loss, doubled, rtol=_ALIKE):
            raise UsageError(
                f"model: a loss that layer {path_of(layer)} adds is not a mean over the rows of the batch, so it would "
                "weigh more or less with the number of workers; divide it by the number of rows"
            )


def _losses(model: Any, columns: Columns) -> list[list[float]]:
    _try(model, columns)
    return [[float(loss) for loss in added_by(layer)] for layer in layers_of(model)]


def _try(model: Any, columns: Columns) -> Any:
    with placed(Place(0, 0, 0, None)):
        return np.asarray(model(columns, training=True))


def _layer_in(operation: str, model: Any) -> str:
    """Return the innermost layer in whose scope an operation stands, with its class."""
    scopes = operation.split("/")
    found = [
        (depth, layer)
        for layer in layers_of(model)
        for depth, scope in enumerate(scopes)
        if re.fullmatch(rf"{re.escape(layer.name)}(_\d+)?", scope)  # TensorFlow numbers a scope that it enters again
    ]
    if not found:
        return f"operation {operation}"
    _, layer = max(found, key=lambda each: (each[0], len(each[1].name)))
    return f"layer {path_of(layer)} ({type(layer).__name__})"


def _reached(graph: Any) -> set[str]:
    """Return the operations on which a graph's outputs depend."""
    reached: set[str] = set()
    waiting = [output.op for output in graph.outputs]
    while waiting:
        operation = waiting.pop()
        if operation.name not in reached:
            reached.add(operation.name)
            waiting += [tensor.op for tensor in operation.inputs]
    return reached
