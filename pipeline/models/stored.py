"""A stored model: two files of stable bytes, written from a Keras model and loaded back into one.

`architecture.json` describes the model and carries the digest of `weights.safetensors`. Name, size and digest can be
read without TensorFlow; `load` imports it. The model takes prepared features by name, as data/prepared holds them, and
gives its task's answers: what was fitted on the training part is inside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import DataError, StorageError
from pipeline.models.build import Weights, build, set_weights, settings_of, weights_of
from pipeline.records.architecture import ARCHITECTURE_FILE, MODEL_FILES, WEIGHTS_FILE, Architecture, StoredArchitecture
from pipeline.records.digests import digest_bytes, digest_json
from pipeline.storage import artifacts
from pipeline.storage.record_files import read_record


def save(folder: Path, architecture: Architecture, model: Any) -> None:
    """Write a model's two files into a folder. The bytes are a function of architecture and weights alone."""
    save_weights(folder, architecture, weights_of(model))


def save_weights(folder: Path, architecture: Architecture, weights: Weights) -> None:
    """Write the two files from an architecture and its weights by name; no TensorFlow needed."""
    from safetensors.numpy import save as serialise

    content = serialise(weights)
    described = StoredArchitecture(
        name=architecture.name,
        # Complete: a later default does not change what this model is.
        settings=settings_of(architecture).model_dump(mode="json"),
        task=architecture.task,
        features=architecture.features,
        classes=architecture.classes,
        target=architecture.target,
        predicts=architecture.predicts,
        parameters=sum(int(array.size) for array in weights.values()),
        weights=digest_bytes(content),
    )
    artifacts.write_file(folder / WEIGHTS_FILE, content)
    artifacts.write_file(folder / ARCHITECTURE_FILE, described.to_bytes())


def read_architecture(folder: Path) -> StoredArchitecture:
    """Read the architecture of the model in a folder; raise StorageError if absent, DataError if invalid."""
    return _read(folder)


def digest(folder: Path) -> str:
    """Return the identity of a stored model: a digest of both files, after checking the weights against the first."""
    _verify(folder)
    return digest_json([artifacts.digest_file(folder / name) for name in MODEL_FILES])


def read_weights(folder: Path) -> Weights:
    """Read the weights by name, after checking their digest; no TensorFlow needed."""
    _verify(folder)
    return load_arrays(folder / WEIGHTS_FILE)


def load(folder: Path) -> Any:
    """Return the stored model, ready to predict; raise DataError if its bytes do not match their digest."""
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


def _read(folder: Path) -> StoredArchitecture:
    return read_record(folder / ARCHITECTURE_FILE, StoredArchitecture)


def _weights_path(folder: Path) -> Path:
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise StorageError(f"{path}: missing, so the model is not whole; run `dvc checkout` or train it again")
    return path


def _verify(folder: Path) -> None:
    declared = _read(folder).weights
    path = _weights_path(folder)
    if artifacts.digest_file(path) != declared:
        raise DataError(f"{path}: its bytes do not match the digest in {ARCHITECTURE_FILE}; run `dvc checkout`")
