"""Builds a Keras model from an architecture; reads its weights and sets them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.models.lookup import architecture_module, checked_settings
from pipeline.records.architecture import Architecture

_FLAT_STD = 1.0  # grey levels: the divisor for a channel that never changes
Weights = dict[str, npt.NDArray[Any]]


def build(architecture: Architecture) -> Any:
    """Build the Keras model, initialised from Keras' global seed. Its last layer turns logits into probabilities.

    Raises UsageError for an unknown architecture or wrong settings, DataError for statistics that do not fit.
    """
    module = architecture_module(architecture.name)
    settings = checked_settings(architecture.name, architecture.settings)
    scale, offset = _normalisation(architecture)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    images = keras.Input(architecture.input_shape, dtype="uint8", name="images")
    normalised = keras.layers.Rescaling(scale, offset, name="normalise")(images)
    logits = module.build(settings, normalised, len(architecture.classes))
    probabilities = keras.layers.Softmax(name="probabilities")(logits)
    return keras.Model(images, probabilities, name=architecture.name)


def logits_of(model: Any) -> Any:
    """Return a model with the same weights that outputs logits, from which a loss is computed without losing digits."""
    import keras

    return keras.Model(model.input, model.get_layer("probabilities").input, name=f"{model.name}_logits")


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


def _normalisation(architecture: Architecture) -> tuple[list[float], list[float]]:
    """Return scale and offset by channel, so that `pixel · scale + offset` has mean 0 and deviation 1."""
    mean, std = architecture.statistics["mean"], architecture.statistics["std"]
    channels = architecture.input_shape[2]
    if len(mean) != channels or len(std) != channels or not np.all(np.isfinite([*mean, *std])) or min(std) < 0:
        raise DataError(
            f"statistics: mean {list(mean)} and std {list(std)} do not fit {channels} channels of grey levels"
        )
    divisors = [value if value > 0 else _FLAT_STD for value in std]
    return [1.0 / d for d in divisors], [-m / d for m, d in zip(mean, divisors, strict=True)]
