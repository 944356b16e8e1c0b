"""The exported form of a model: a TensorFlow SavedModel that takes raw features, by name.

An image comes decoded, in any size: what the data phase makes of a raw value is inside.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pipeline
from pipeline.models import stored
from pipeline.models.build import preprocessing_module
from pipeline.models.serving import SIGNATURE, output_name, raw_inputs, with_no_answers
from pipeline.recipe.code_digest import code_digest
from pipeline.records.digests import digest_json
from pipeline.runtime.progress import Starting
from pipeline.runtime.tensorflow_import import import_tensorflow
from pipeline.storage.artifacts import published_folder
from pipeline.storage.home import home_of

_DECIDING_CODE = ("models", "export/saved_model.py")
_PACKAGES = ("tensorflow", "tensorflow-cpu")
_LOCK = "lock"
_UNUSED_S = 7 * 24 * 3600.0
_EXPORTS = ".ratchet/exports"


def serving_module(model_folder: Path) -> Any:
    """Return the stored model as a `tf.Module`: from raw features by name, `{name: [batch, …]}`, to answers.

    Its function `serve`, the signature, gives the answers under the task's name for them. Calling the module gives them
    bare; where there is one feature, it takes that one bare too.
    """
    import_tensorflow()
    import tensorflow as tf

    architecture, model = stored.read_architecture(model_folder), stored.load(model_folder)
    output = output_name(architecture)
    prepares = {spec.name: (spec, preprocessing_module(spec.kind).prepare) for spec in architecture.features}
    columns_taken = {
        name: tf.TensorSpec([None, *shape], dtype, name=name)
        for name, (shape, dtype) in raw_inputs(architecture).items()
    }
    taken = columns_taken if len(columns_taken) > 1 else next(iter(columns_taken.values()))

    def answers(columns: dict[str, Any]) -> Any:
        prepared = {name: prepare(spec, columns[name]) for name, (spec, prepare) in prepares.items()}
        return with_no_answers(model(prepared, training=False), prepared)

    class Serving(tf.Module):  # type: ignore[misc]
        """A stored model with fixed names for its inputs and its output."""

        def __init__(self) -> None:
            super().__init__(name="serving")
            # What is tracked is restored: of the Keras model, copies that Keras makes, which the graph does not read.
            self.variables_read = [variable.value for variable in model.variables]
            self.tables_read = [
                each
                for each in tf.train.TrackableView(model).descendants()
                if isinstance(each, tf.saved_model.experimental.TrackableResource)
            ]

        @tf.function(input_signature=[taken], autograph=False)  # type: ignore[untyped-decorator]
        def __call__(self, given: Any) -> Any:
            return answers(given if isinstance(given, dict) else dict.fromkeys(columns_taken, given))

        @tf.function(input_signature=[columns_taken], autograph=False)  # type: ignore[untyped-decorator]
        def serve(self, columns: dict[str, Any]) -> dict[str, Any]:
            return {output: answers(columns)}

    return Serving()


def shared_exports(root: Path) -> Path:
    """Return the folder of exports that all runs of a project share: what was judged is there already."""
    return home_of(root) / _EXPORTS


def exported(model_folder: Path, exports: Path, starting: Starting = nullcontext) -> Path:
    """Return the SavedModel of a stored model, in TensorFlow Serving's layout; export it if that is not done yet.

    Its bytes differ from run to run, its answers do not. So it is never tracked: it is in the folder `exports`, named
    after what decides it, the model's digest and the exporter. Runs share the folder: the first makes an export, the
    others find it; what none has asked for in a week is removed when another is made. `starting` is called with what is
    loaded.
    """

    def write(folder: Path) -> None:
        with starting("TensorFlow"):
            module = serving_module(model_folder)
        save(module, folder)

    made_by = [_tensorflow(), importlib.metadata.version("keras"), code_digests(*_DECIDING_CODE)]
    return kept(exports, [stored.digest(model_folder), *made_by], write)


def save(module: Any, folder: Path) -> None:
    """Write a serving module as a SavedModel into a folder."""
    signatures = {SIGNATURE: module.serve.get_concrete_function()}
    import_tensorflow().saved_model.save(module, str(folder), signatures=signatures)


def kept(exports: Path, decides: Sequence[Any], write: Callable[[Path], None]) -> Path:
    """Return the folder of an export that is named by what `decides` it; `write` fills it if there is none yet.

    Raises what `write` raises; then there is none.
    """
    from filelock import FileLock

    target = exports / digest_json(list(decides)).removeprefix("sha256:")[:32]
    exports.mkdir(parents=True, exist_ok=True)
    with FileLock(exports / _LOCK):  # ends with the process, whatever kills it
        if not target.is_dir():
            _remove_unused(exports)
            with published_folder(target) as folder:
                write(folder)
        os.utime(target)
    return target


def _remove_unused(exports: Path) -> None:
    for folder in exports.glob("*/"):  # with those that a killed process has left half-made
        if time.time() - folder.stat().st_mtime > _UNUSED_S:
            shutil.rmtree(folder, ignore_errors=True)


def _tensorflow() -> str:
    """Return which TensorFlow is installed; that it need not be imported for it saves seconds."""
    for name in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            return f"{name} {importlib.metadata.version(name)}"
    return str(import_tensorflow().__version__)


def code_digests(*deciding: str) -> dict[str, str]:
    """Return the digests of what files of this package do, by path; of all files of those that are folders."""
    package = Path(pipeline.__path__[0])
    paths = [package / name for name in deciding]
    files = sorted(file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path]))
    return {file.relative_to(package).as_posix(): code_digest(file) for file in files}
