"""Builds a Keras model from an architecture; reads its weights and sets them.

a feature  → models/preprocessing/<its kind>.py   fixed-size values become normalised float32, by what was fitted;
                                                  those that are numbers of a vocabulary (int32) stay so
all of them → models/architectures/<its name>.py  become logits
logits     → models/outputs/<its task>.py         become answers
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.models.inputs import Inputs
from pipeline.recipe.recipe import ARCHITECTURE
from pipeline.recipe.settings import Settings
from pipeline.recipe.slots import Choice, Slot
from pipeline.records.architecture import Architecture
from pipeline.runtime.tensorflow_import import import_tensorflow

_PREPROCESSING = Slot("kind of feature", "pipeline.models.preprocessing")
_OUTPUTS = Slot("task's output", "pipeline.models.outputs")
Weights = dict[str, npt.NDArray[Any]]


def build(architecture: Architecture) -> Any:
    """Build the Keras model, initialised from Keras' global seed.

    It takes prepared features by name, `{name: [batch, *shape]}` of each one's dtype, and gives the task's answers.
    Raises UsageError for an unknown architecture, kind or task, or wrong settings; DataError for features that were not
    fitted, or not so.
    """
    settings, task = settings_of(architecture), output_module(architecture)
    of_kind = {spec.name: preprocessing_module(spec.kind) for spec in architecture.features}
    sizes = {spec.name: of_kind[spec.name].size(spec) for spec in architecture.features if spec.dtype == "int32"}
    import_tensorflow()
    import keras

    prepared, inputs = {}, {}
    for spec in architecture.features:
        tensor = keras.KerasTensor((None, *spec.shape), spec.dtype, name=spec.name)
        # The dot keeps the names of a feature's layers apart from the architecture's: a feature may be called `dense`.
        prepared[spec.name] = keras.Input(tensor=tensor, name=f"{spec.name}.input")
        inputs[spec.name] = of_kind[spec.name].layers(spec, prepared[spec.name])
    build_logits = ARCHITECTURE.member(architecture.name).build
    logits = build_logits(settings, Inputs(inputs, sizes), task.units(len(architecture.classes)))
    return keras.Model(prepared, task.output(logits), name=architecture.name)


def logits_of(model: Any) -> Any:
    """Return a model with the same weights that outputs logits, from which a loss is computed without losing digits."""
    import keras

    [answers] = model.output_names
    return keras.Model(model.input, model.get_layer(answers).input, name=f"{model.name}_logits")


def settings_of(architecture: Architecture) -> Settings:
    """Return an architecture's typed settings, complete; raise UsageError for an unknown name or a wrong setting."""
    choice = Choice.model_construct(name=architecture.name, settings=architecture.settings)
    settings: Settings = ARCHITECTURE.settings(choice, "model")
    return settings


def preprocessing_module(kind: str) -> ModuleType:
    """Return how a kind of feature enters a model; raise UsageError if there is no such file."""
    return _module(_PREPROCESSING, kind)


def output_module(architecture: Architecture) -> ModuleType:
    """Return what its task makes of logits, and the NAME of that; raise UsageError if there is no such file."""
    return _module(_OUTPUTS, architecture.task)


def weights_of(model: Any) -> Weights:
    """Return the weights by name, in the model's order."""
    return {variable.path: np.asarray(variable) for variable in model.weights}


def set_weights(model: Any, weights: Weights, where: str) -> None:
    """Set a model's weights; raise DataError naming the first that is missing, superfluous or of another shape."""
    expected = {variable.path: tuple(variable.shape) for variable in model.weights}
    found = {name: tuple(array.shape) for name, array in weights.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            has, needs = found.get(name, "nothing"), expected.get(name, "nothing")
            raise DataError(f"{where}: weight {name} has shape {has}, the architecture needs {needs}; train it again")
    for variable in model.weights:
        variable.assign(weights[variable.path])


def _module(slot: Slot, name: str) -> ModuleType:
    slot.file(name)
    return importlib.import_module(f"{slot.package}.{name}")
