"""A trained model at rest: two files of stable bytes, and the way from them to a Keras model and back.

`architecture.json` says what the model is and carries the digest of `weights.safetensors`. Name, size and digest are
told without TensorFlow; `build` and `load` import it. The model takes raw pixels `[batch, height, width, channel]
uint8` and answers probabilities `[batch, class] float32`: the normalisation is a layer inside it.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import artifacts, models
from pipeline.errors import DataError, StorageError, UsageError, nearest
from pipeline.params import Settings, validate

ARCHITECTURE_FILE = "architecture.json"
WEIGHTS_FILE = "weights.safetensors"
_NOT_ARCHITECTURES = {"stored", "layers"}
_FLAT_STD = 1.0  # grey levels: what a channel that never changes is divided by

Weights = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Architecture:
    """What a model is, without its weights. `statistics` are `{"mean": [c], "std": [c]}` in grey levels of 0 to 255."""

    name: str
    settings: Mapping[str, Any]
    input_shape: tuple[int, int, int]  # height, width, channels
    classes: tuple[str, ...]
    statistics: Mapping[str, Sequence[float]]

    def to_json(self) -> dict[str, Any]:
        """Return the architecture as plain values."""
        return {
            "name": self.name,
            "settings": dict(self.settings),
            "input_shape": list(self.input_shape),
            "classes": list(self.classes),
            "statistics": {key: [float(value) for value in values] for key, values in self.statistics.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Architecture:
        """Make an architecture from plain values; raises KeyError, TypeError or ValueError if it is none."""
        height, width, channels = (int(length) for length in value["input_shape"])
        return cls(
            name=str(value["name"]),
            settings=dict(value["settings"]),
            input_shape=(height, width, channels),
            classes=tuple(str(name) for name in value["classes"]),
            statistics={key: [float(x) for x in value["statistics"][key]] for key in ("mean", "std")},
        )


def architecture_names() -> list[str]:
    """Return the names a recipe may give: the files of this package that build a model."""
    return sorted({module.name for module in pkgutil.iter_modules(models.__path__)} - _NOT_ARCHITECTURES)


def checked_settings(name: str, settings: Mapping[str, Any]) -> Settings:
    """Return the typed settings of an architecture; raise UsageError for an unknown name or a wrong setting."""
    return validate(_settings_class(_module(name)), settings, f"model.settings of {name}")


def build(architecture: Architecture) -> Any:
    """Build the Keras model, freshly initialised from Keras' global seed. Its last layer turns logits to probabilities.

    Raises UsageError for an unknown architecture or wrong settings, DataError for statistics that do not fit.
    """
    module = _module(architecture.name)
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
    """Return a model of the same weights that answers logits: what a loss is computed from without loss of digits."""
    import keras

    return keras.Model(model.input, model.get_layer("probabilities").input, name=f"{model.name}_logits")


def weights_of(model: Any) -> Weights:
    """Return the weights by name, in the model's order."""
    return {variable.path: np.asarray(variable) for variable in model.weights}


def set_weights(model: Any, weights: Weights, where: str) -> None:
    """Put weights into a model; raise DataError naming the first that is missing, superfluous or of another shape."""
    expected = {variable.path: tuple(variable.shape) for variable in model.weights}
    found = {name: tuple(array.shape) for name, array in weights.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            has, wants = found.get(name, "nothing"), expected.get(name, "nothing")
            raise DataError(f"{where}: weight {name} has shape {has}, the architecture wants {wants}; train it again")
    for variable in model.weights:
        variable.assign(weights[variable.path])


def save(folder: Path, architecture: Architecture, model: Any) -> None:
    """Write a model's two files into a folder. The bytes are a function of architecture and weights alone."""
    save_weights(folder, architecture, weights_of(model))


def save_weights(folder: Path, architecture: Architecture, weights: Weights) -> None:
    """Write the two files from an architecture and its weights by name; no TensorFlow needed."""
    from safetensors.numpy import save as serialise

    content = serialise(weights)
    settings = checked_settings(architecture.name, architecture.settings).model_dump(mode="json")
    artifacts.write_file(folder / WEIGHTS_FILE, content)
    described = {
        **architecture.to_json(),
        "settings": settings,  # defaults written out: a later default does not change what this model is
        "parameters": sum(int(array.size) for array in weights.values()),
        "weights": artifacts.digest_bytes(content),
    }
    artifacts.write_file(folder / ARCHITECTURE_FILE, json.dumps(described, indent=2, sort_keys=True).encode() + b"\n")


def read_architecture(folder: Path) -> Architecture:
    """Read what the model in a folder is; raise StorageError if it is absent, DataError if it is not one."""
    return _read(folder)[0]


def parameter_count(folder: Path) -> int:
    """Return the number of weights of a stored model; no TensorFlow needed."""
    return int(_read(folder)[1]["parameters"])


def size_bytes(folder: Path) -> int:
    """Return the bytes that the weights of a stored model take."""
    return _weights_path(folder).stat().st_size


def digest(folder: Path) -> str:
    """Return the identity of a stored model: a digest of both files, once the weights are what the first declares."""
    _verify(folder)
    return artifacts.digest_json([artifacts.digest_file(folder / name) for name in (ARCHITECTURE_FILE, WEIGHTS_FILE)])


def read_weights(folder: Path) -> Weights:
    """Read the weights by name, after their digest has been checked; no TensorFlow needed."""
    _verify(folder)
    return load_arrays(folder / WEIGHTS_FILE)


def load(folder: Path) -> Any:
    """Return the stored model, ready to answer; raise DataError if its bytes are not what they were."""
    architecture, weights = read_architecture(folder), read_weights(folder)
    model = build(architecture)
    set_weights(model, weights, str(folder / WEIGHTS_FILE))
    return model


def load_arrays(path: Path) -> Weights:
    """Read a safetensors file as numpy arrays; raise StorageError or DataError if that is not possible."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays: Weights = load_file(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise DataError(f"{path}: not a safetensors file: {error}") from error
    return arrays


def _module(name: str) -> ModuleType:
    if name not in architecture_names():
        raise UsageError(
            f"model.name: no architecture '{name}' in pipeline/models{nearest(name, architecture_names())}"
        )
    return importlib.import_module(f"pipeline.models.{name}")


def _settings_class(module: ModuleType) -> type[Settings]:
    kind: type[Settings] = typing.get_type_hints(module.build)["settings"]
    return kind


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


def _read(folder: Path) -> tuple[Architecture, dict[str, Any]]:
    path = folder / ARCHITECTURE_FILE
    value = artifacts.read_json(path)
    try:
        architecture = Architecture.from_json(value)
        if not isinstance(value["weights"], str) or not isinstance(value["parameters"], int):
            raise TypeError("weights must be a digest and parameters a number")
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: does not describe a model: {error!r}; train it again") from error
    return architecture, value


def _weights_path(folder: Path) -> Path:
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise StorageError(f"{path}: missing, so the model is not whole; run `dvc checkout` or train it again")
    return path


def _verify(folder: Path) -> None:
    declared = _read(folder)[1]["weights"]
    path = _weights_path(folder)
    if artifacts.digest_file(path) != declared:
        raise DataError(f"{path}: its bytes do not match the digest in {ARCHITECTURE_FILE}; run `dvc checkout`")
