"""What a training would silently ignore, or could not do twice alike: it is refused before it begins.

Everything here is found in the model itself: in its layers, and in the graph of its micro-batches.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pipeline.errors import UsageError
from pipeline.records.feature import FeatureSpec
from pipeline.training.step import TrainingStep

_DRAWS = re.compile(r"Random|Multinomial|TruncatedNormal|Stateful(Uniform|StandardNormal)|RngReadAndSkip")
_CALLS_PYTHON = re.compile(r"(Eager)?PyFunc(Stateless)?")
_GENERATOR = "seed_generator_state"  # of Keras, one for all who have none of their own
_ASSIGNS = re.compile(r"Assign|Resource(Apply|Scatter|SparseApply)")


def refuse_weights(model: Any) -> None:
    """Refuse two weights of one name, of which one would be lost, and weights that are trained and not float32."""
    for path, number in Counter(variable.path for variable in model.weights).items():
        if number > 1:
            raise UsageError(
                f"model: {number} weights are called {path}; give their layers, or a layer above, two names"
            )
    for variable in model.trainable_variables:
        if variable.dtype != "float32":
            raise UsageError(f"model: weight {variable.path} is {variable.dtype}; weights that are trained are float32")


def refuse_graph(step: TrainingStep, model: Any, features: Sequence[FeatureSpec]) -> None:
    """Refuse what can be seen in the graph of a micro-batch.

    That is: random numbers that are not drawn from the model's seed generators; calls of Python; variables
    that are changed other than through Keras; weights that the model uses and does not have; an input that the loss
    does not depend on; an activity regularizer that no call has applied.
    """
    graph = step.graph.as_graph_def()
    for node in [*graph.node, *(node for function in graph.library.function for node in function.node_def)]:
        if _DRAWS.search(node.op) and not node.op.startswith("Stateless"):
            raise _unrepeatable(_layer_in(node.name, model))
        if _CALLS_PYTHON.fullmatch(node.op):
            raise UsageError(
                f"model: {_layer_in(node.name, model)} calls Python while it trains, and nobody can know whether "
                "that does the same twice; use operations of Keras or TensorFlow"
            )
        if _ASSIGNS.search(node.op):
            raise UsageError(
                f"model: {_layer_in(node.name, model)} changes a variable of TensorFlow, which virtual workers do not "
                "share; hold it as a weight of the layer, by add_weight"
            )
    known = {id(variable.value) for variable in model.variables}
    for variable in step.graph.variables:
        if id(variable) not in known and _GENERATOR in variable.name:
            raise _unrepeatable("it")
        if id(variable) not in known:
            raise UsageError(
                f"model: uses variable {variable.name.partition(':')[0]}, which is not the model's own, so it would be "
                "neither trained nor kept; hold its layer as an attribute of the layer that uses it"
            )
    used = _reached(step.graph)
    for placeholder, name in zip(step.graph.inputs, sorted(spec.name for spec in features), strict=False):
        if placeholder.op.name not in used:
            raise UsageError(f"model: does not use feature {name}; use it, or remove data.features.{name}")
    for layer in _layers_of(model):
        if getattr(layer, "activity_regularizer", None) is not None and not _has_added_losses(layer):
            raise UsageError(
                f"model: the activity regularizer of layer {_path_of(layer)} is not applied: the layer around it does "
                "not call it as a layer; put it on that one"
            )


def _unrepeatable(who: str) -> UsageError:
    return UsageError(
        f"model: {who} draws random numbers that no run could repeat; draw them by keras.random, with a "
        "keras.random.SeedGenerator that the layer holds as an attribute"
    )


def _layers_of(model: Any) -> list[Any]:
    """Return every layer of a model, at any depth: in nested models, wrappers, lists and dictionaries of a layer."""
    layers: list[Any] = model._flatten_layers(include_self=False)  # noqa: SLF001 - `model.layers` is the topmost only
    return layers


def _has_added_losses(layer: Any) -> bool:
    """Return whether a layer itself added losses when it was last traced, apart from those of its layers."""
    return bool(layer._loss_ids)  # noqa: SLF001 - `layer.losses` has its layers' and its weights' too


def _path_of(layer: Any) -> str:
    """Return where a layer stands in its model, `block/dropout`; its name, if Keras has never built it."""
    return str(layer.path or layer.name)


def _layer_in(operation: str, model: Any) -> str:
    """Return the innermost layer in whose scope an operation stands, with its class."""
    scopes = operation.split("/")
    found = [
        (depth, layer)
        for layer in _layers_of(model)
        for depth, scope in enumerate(scopes)
        if re.fullmatch(rf"{re.escape(layer.name)}(_\d+)?", scope)  # TensorFlow numbers a scope that it enters again
    ]
    if not found:
        return f"operation {operation}"
    _, layer = max(found, key=lambda each: (each[0], len(each[1].name)))
    return f"layer {_path_of(layer)} ({type(layer).__name__})"


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
