"""The exported form of a model: a TensorFlow SavedModel that takes raw images, and asking it in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import pipeline
from pipeline import processes
from pipeline.errors import DataError, TryAgain
from pipeline.models import stored

INPUT, OUTPUT = "images", "probabilities"
ASK_TIMEOUT_S = 300.0
_MESSAGE_LIMIT = 200


def serving_module(model_folder: Path) -> Any:
    """Return the stored model as a `tf.Module`: called with images `[batch, height, width, channel] uint8`, it answers
    probabilities `[batch, class] float32`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    height, width, channels = stored.read_architecture(model_folder).input_shape
    model = stored.load(model_folder)

    images_of_shape = [tf.TensorSpec([None, height, width, channels], tf.uint8, name=INPUT)]

    class Serving(tf.Module):  # type: ignore[misc]
        """A stored model behind the fixed names of its input and its output."""

        def __init__(self) -> None:
            super().__init__(name="serving")
            self.model = model

        @tf.function(input_signature=images_of_shape)  # type: ignore[untyped-decorator]
        def __call__(self, images: Any) -> Any:
            return self.model(images, training=False)

        @tf.function(input_signature=images_of_shape)  # type: ignore[untyped-decorator]
        def serve(self, images: Any) -> dict[str, Any]:
            return {OUTPUT: self.model(images, training=False)}

    return Serving()


def signatures(module: Any) -> dict[str, Any]:
    """Return the SavedModel signatures of a serving module: `serving_default`, from `images` to `probabilities`."""
    return {"serving_default": module.serve.get_concrete_function()}


def export(model_folder: Path, target: Path) -> None:
    """Write a stored model as a SavedModel, in TensorFlow Serving's layout, into `target`.

    Its bytes differ from run to run; its answers do not. So it is made where it is needed, and never tracked.
    """
    module = serving_module(model_folder)
    import tensorflow as tf

    tf.saved_model.save(module, str(target), signatures=signatures(module))


def ask(
    saved_model: Path, images: npt.NDArray[np.uint8], scratch: Path, *, timeout_s: float = ASK_TIMEOUT_S
) -> npt.NDArray[np.float32]:
    """Load a SavedModel in a fresh process, ask it, and return its probabilities `[row, class] float32`.

    The process knows nothing of Keras or of this package's models, as a server would not. Raises DataError with its
    last line if it fails, TryAgain if it takes longer than the time-out or is killed: neither says anything about the
    model.
    """
    question, answer, log = scratch / "images.npy", scratch / "probabilities.npy", scratch / "query.log"
    np.save(question, images, allow_pickle=False)
    command = [sys.executable, "-m", "pipeline.registry.query", str(saved_model), str(question), str(answer)]
    package_folder = Path(pipeline.__path__[0]).parent
    with log.open("wb") as output:
        process = processes.start(command, folder=package_folder, environment=os.environ, output=output)
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise TryAgain(f"the exported model did not answer within {timeout_s:g} s; run again") from error
        finally:
            processes.end(process)
    if code < 0:
        raise TryAgain(f"the process that asks the exported model was ended by signal {-code}; run again")
    if code != 0:
        lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        reason = lines[-1].replace(f"{scratch}/", "")[:_MESSAGE_LIMIT]
        raise DataError(f"the exported model does not answer: {reason}")
    answered: npt.NDArray[np.float32] = np.load(answer, allow_pickle=False)
    return answered
