"""What answers rows: one form of a model, loaded by the library that it is made for.

Another engine is one more class with `answer`, and a line in `ENGINES`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.errors import UsageError, nearest
from pipeline.records.served_model import ServedModel
from pipeline.storage.shards import Columns

Answers = npt.NDArray[np.float32]


class Engine(Protocol):
    """A loaded form of a model. Several threads may ask it at once."""

    def answer(self, columns: Columns) -> Answers:
        """Return the answers `[row, …] float32` to raw columns by feature, `[row, *shape]`; texts are Python's."""


class SavedModelEngine:
    """A TensorFlow SavedModel, asked through its signature as a model server asks it."""

    def __init__(self, path: Path, served: ServedModel) -> None:
        from pipeline.runtime.tensorflow_import import import_tensorflow

        tf = import_tensorflow()
        # Several threads would add in an order of their own; it is calls that run beside each other.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        self._constant = tf.constant
        self._module = tf.saved_model.load(str(path))  # the signature alone would not keep its variables
        self._serve = self._module.signatures[served.signature]

    def answer(self, columns: Columns) -> Answers:
        """Return the answers; see `Engine`."""
        [answers] = self._serve(**{name: self._constant(values) for name, values in columns.items()}).values()
        found: Answers = answers.numpy()
        return found


class OnnxEngine:
    """An ONNX model in ONNX Runtime, on the processor."""

    def __init__(self, path: Path, served: ServedModel) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._output = [served.output]
        if served.output not in [each.name for each in self._session.get_outputs()]:
            self._output = [self._session.get_outputs()[0].name]

    def answer(self, columns: Columns) -> Answers:
        """Return the answers; see `Engine`."""
        found: Answers = self._session.run(self._output, dict(columns))[0]
        return found


AUTO = "auto"
ENGINES: dict[str, Callable[[Path, ServedModel], Engine]] = {"saved_model": SavedModelEngine, "onnx": OnnxEngine}
_PACKAGES = {"saved_model": "tensorflow", "onnx": "onnxruntime"}


def chosen(served: ServedModel, wanted: str) -> str:
    """Return the engine to use: the one that is wanted, or of `auto` the SavedModel, which is what was judged.

    Raises UsageError if it is unknown, if its form of the model is not there, or if its package is not installed.
    """
    name = "saved_model" if wanted == AUTO else wanted
    if name not in ENGINES:
        raise UsageError(f"no engine '{name}'{nearest(name, [AUTO, *ENGINES])}")
    if served.format(name) is None:
        why = served.refused.get(name, "it was not exported")
        raise UsageError(f"{served.name} has no form for the engine {name}: {why}")
    if importlib.util.find_spec(_PACKAGES[name]) is None:
        raise UsageError(f"the engine {name} needs the package {_PACKAGES[name]}, which is not installed")
    return name


def open_engine(folder: Path, served: ServedModel, wanted: str = AUTO) -> tuple[str, Engine]:
    """Load the form of the model that an engine asks; return the engine's name with it. Raises as `chosen`."""
    name = chosen(served, wanted)
    form = served.format(name)
    assert form is not None
    return name, ENGINES[name](folder / form.path, served)
