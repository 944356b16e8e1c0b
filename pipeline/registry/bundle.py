"""A stored model as an MLflow model: the folder that a registered version holds.

    MLmodel, requirements.txt, conda.yaml, python_env.yaml    MLflow's own: signature, flavors, what to install
    input_example.json …                                      a few rows, as the served model takes them
    tf2model/                                                 the SavedModel, also for TensorFlow Serving
    architecture.json, weights.safetensors                    the stored model, from which the digest is computed

Users load it with `mlflow.pyfunc.load_model` or `mlflow.tensorflow.load_model`; Ratchet loads its stored form. A model
of one feature takes an array and gives one; a model of several takes a dictionary by name and gives one.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import Bug
from pipeline.models import stored
from pipeline.models.serving import SIGNATURE, in_raw_types, output_name, raw_inputs
from pipeline.records.architecture import MODEL_FILES, Architecture
from pipeline.registry import tracking
from pipeline.runtime.tensorflow_import import import_tensorflow
from pipeline.storage.shards import Columns

SAVED_MODEL_FOLDER = "tf2model"  # where mlflow.tensorflow keeps it
_TOLERANCE = 1e-5


def write_bundle(
    model_folder: Path, exported: Path, target: Path, example: Columns, served: Columns | None = None
) -> None:
    """Write the MLflow model of a stored model and its SavedModel `exported` into the new folder `target`.

    It contains the rows `example`, prepared features by name, `[row, *shape]`, as the input example; of features that
    are prepared inside the served model it has their raw values, `served`. `exported` goes in byte for byte: it is what
    the gate has queried, unless the verdict came from DVC's cache and the export had to be made again.
    The folder is then loaded as its users will load it, and queried. Raises Bug if it answers differently from the
    stored model.
    """
    tracking.prepare()
    tf = import_tensorflow()
    import mlflow
    from mlflow.utils import requirements_utils

    # Else MLflow reads which files every installed package has, for a warning that is not shown.
    requirements_utils._MODULES_TO_PACKAGES = {}  # noqa: SLF001
    architecture = stored.read_architecture(model_folder)
    rows = {spec.name: example[spec.name] for spec in architecture.features}
    asked = in_raw_types(architecture, {**example, **(served or {})})
    given = asked if len(asked) > 1 else next(iter(asked.values()))
    expected = stored.load(model_folder)(rows, training=False).numpy()
    with tempfile.TemporaryDirectory(prefix="ratchet-") as aside, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's and TensorFlow's own deprecations
        mlflow.tensorflow.save_model(
            tf.Module(),  # an empty one: the export takes its place
            str(target),
            signature=_signature(architecture, expected.shape[1:]),
            input_example=given,
            pip_requirements=_requirements(),
            metadata={"digest": stored.digest(model_folder)},
        )
        shutil.rmtree(target / SAVED_MODEL_FOLDER)
        shutil.copytree(exported, target / SAVED_MODEL_FOLDER)
        link = Path(aside) / "link"  # in the folder's own path, MLflow would read `%41` as `A`
        link.symlink_to(target.absolute().parent)
        _describe_export(link / target.name, has_several=len(rows) > 1)
        for name in MODEL_FILES:
            shutil.copyfile(model_folder / name, target / name)
        answered: Any = mlflow.pyfunc.load_model(str(link / target.name)).predict(given)
    if isinstance(answered, dict):
        answered = np.asarray(answered[output_name(architecture)])
    if answered.size == expected.size:
        answered = answered.reshape(expected.shape)  # MLflow makes one number a row of rows of one number
    size = max(1.0, float(np.abs(expected).max()))  # numbers of a target have any size
    if answered.shape != expected.shape or not np.allclose(answered, expected, rtol=0, atol=_TOLERANCE * size):
        raise Bug("register: the MLflow model answers differently from the model it was made from")


def _signature(architecture: Architecture, answer_shape: tuple[int, ...]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Schema, TensorSpec

    inputs = raw_inputs(architecture)
    several = len(inputs) > 1
    taken = []
    for name, (shape, dtype) in inputs.items():
        sides = (-1, *(-1 if side is None else side for side in shape))
        taken.append(TensorSpec(_numpy_type(dtype), sides, name if several else None))
    answers = output_name(architecture) if several else None
    answered = TensorSpec(np.dtype(np.float32), (-1, *answer_shape), answers)
    return ModelSignature(inputs=Schema(taken), outputs=Schema([answered]))


def _numpy_type(dtype: str) -> np.dtype[Any]:
    """Return numpy's type of raw values; MLflow takes texts of any length as Python's."""
    return np.dtype(np.object_ if dtype == "string" else dtype)


def _describe_export(target: Path, *, has_several: bool) -> None:
    """Make MLflow's description one of the export: its size, and for several features, how it is asked.

    Then MLflow asks the SavedModel by its signature: it gives a module called as a function one array only.
    """
    from mlflow.models import Model

    described = Model.load(str(target))
    files = (path for path in target.rglob("*") if path.is_file())
    described.model_size_bytes = sum(path.stat().st_size for path in files)
    if has_several:
        flavor = described.flavors["tensorflow"]
        # MLflow's name for any SavedModel that is asked by its signature.
        flavor |= {"model_type": "tf1-estimator", "meta_graph_tags": ["serve"], "signature_def_key": SIGNATURE}
    described.save(str(target / "MLmodel"))


def _requirements() -> list[str]:
    """Return what a user has to install to load the model, at the versions installed here."""
    installed = {name: _version(name) for name in ("tensorflow", "tensorflow-cpu", "numpy")}
    return [f"{name}=={version}" for name, version in installed.items() if version]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
