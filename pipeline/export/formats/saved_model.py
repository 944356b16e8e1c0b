"""TensorFlow's SavedModel, in the numbered layout of TensorFlow Serving: what all other formats are held to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    from pipeline.export.forms import Asked, Inputs
    from pipeline.records.architecture import Architecture

PLACE = "saved_model/1"
PACKAGES: tuple[str, ...] = ()
CALIBRATES = False


class Settings(Base):
    """None."""


def refusal(architecture: Architecture) -> str | None:  # noqa: ARG001 - as every format is asked
    """Return None: every model has one."""
    return None


def inputs(architecture: Architecture) -> Inputs:
    """Return what the model takes raw."""
    from pipeline.models.serving import raw_inputs

    return raw_inputs(architecture)


def write(model_folder: Path, target: Path, settings: Settings, calibration: Any = None) -> None:  # noqa: ARG001
    """Write the stored model as a SavedModel into the folder `target`."""
    from pipeline.export.saved_model import save, serving_module

    save(serving_module(model_folder), target)


def load(path: Path) -> Asked:
    """Return how a SavedModel is asked: on one thread, since several would add in an order of their own."""
    import contextlib

    from pipeline.models.serving import SIGNATURE
    from pipeline.runtime.tensorflow_import import import_tensorflow

    tf = import_tensorflow()
    with contextlib.suppress(RuntimeError):  # once TensorFlow has started, its threads stay as they are
        tf.config.threading.set_intra_op_parallelism_threads(1)
    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures[SIGNATURE]

    def asked(columns: Any) -> Any:
        _ = loaded  # its variables live as long as it does
        [answers] = serve(**{name: tf.constant(values) for name, values in columns.items()}).values()
        return answers.numpy()

    return asked
