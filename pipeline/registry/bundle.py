"""A stored model as an MLflow model: the folder that a registered version holds.

    MLmodel, requirements.txt, conda.yaml, python_env.yaml    MLflow's own: signature, flavors, what to install
    input_example.json …                                      a few images of the test part
    tf2model/                                                 the SavedModel, also for TensorFlow Serving
    architecture.json, weights.safetensors                    the stored model, from which the digest is computed

Users load it with `mlflow.pyfunc.load_model` or `mlflow.tensorflow.load_model`; Ratchet loads its stored form.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import Bug
from pipeline.models import stored
from pipeline.registry import tracking

SAVED_MODEL_FOLDER = "tf2model"  # where mlflow.tensorflow keeps it
_TOLERANCE = 1e-5


def write_bundle(model_folder: Path, exported: Path, target: Path, example: npt.NDArray[np.uint8]) -> None:
    """Write the MLflow model of a stored model and its SavedModel `exported` into the new folder `target`.

    It contains `example [row, height, width, channel] uint8` as the input example. `exported` goes in byte for byte: it
    is what the gate has queried, unless the verdict came from DVC's cache and the export had to be made again. The
    folder is then loaded as its users will load it, and queried. Raises Bug if it answers differently from the stored
    model.
    """
    tracking.prepare()
    import mlflow
    import tensorflow as tf
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Schema, TensorSpec

    class Exported(tf.Module):  # type: ignore[misc]
        """A SavedModel in the form that MLflow accepts."""

        def __init__(self) -> None:
            super().__init__()
            self.saved = tf.saved_model.load(str(exported))

    module = Exported()
    expected = stored.load(model_folder)(example, training=False).numpy()
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, *example.shape[1:]))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, expected.shape[1]))]),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's and TensorFlow's own deprecations
        mlflow.tensorflow.save_model(
            module,
            str(target),
            signature=signature,
            input_example=example,
            pip_requirements=_requirements(),
            saved_model_kwargs={"signatures": dict(module.saved.signatures)},
            metadata={"digest": stored.digest(model_folder)},
        )
        shutil.rmtree(target / SAVED_MODEL_FOLDER)
        shutil.copytree(exported, target / SAVED_MODEL_FOLDER)
        for name in (stored.ARCHITECTURE_FILE, stored.WEIGHTS_FILE):
            shutil.copyfile(model_folder / name, target / name)
        answered: Any = mlflow.pyfunc.load_model(str(target)).predict(example)
    if answered.shape != expected.shape or not np.allclose(answered, expected, rtol=0, atol=_TOLERANCE):
        raise Bug("register: the MLflow model answers differently from the model it was made from")


def _requirements() -> list[str]:
    """Return what a user has to install to load the model, at the versions installed here."""
    installed = {name: _version(name) for name in ("tensorflow", "tensorflow-cpu", "numpy")}
    return [f"{name}=={version}" for name, version in installed.items() if version]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
