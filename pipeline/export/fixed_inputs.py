"""The stored model for LiteRT, which has neither texts nor float64: a narrower form of the raw inputs.

An image comes in the one size that the model works on, a number as float32. All that was fitted is inside all the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.export.litert_file import compacted
from pipeline.models import stored
from pipeline.models.build import preprocessing_module
from pipeline.models.serving import SIGNATURE, output_name, raw_inputs, with_no_answers
from pipeline.records.architecture import Architecture
from pipeline.records.feature import FeatureSpec
from pipeline.runtime.tensorflow_import import import_tensorflow
from pipeline.storage.shards import Columns

Inputs = dict[str, tuple[tuple[int | None, ...], str]]


def fixed_inputs(architecture: Architecture) -> Inputs:
    """Return shape and dtype of one raw value of each feature, by name; raise DataError where there is no such form."""
    found: Inputs = {}
    for spec in architecture.features:
        shape, dtype = raw_inputs(architecture)[spec.name]
        if dtype == "string":
            raise DataError(f"feature {spec.name} is a {spec.kind}: the format has no operations on texts")
        found[spec.name] = (spec.shape if None in shape else shape, "float32" if dtype == "float64" else dtype)
    return found


def text_feature(architecture: Architecture) -> str | None:
    """Return the first feature that comes as a text, in words; None if there is none."""
    kinds = {spec.name: spec.kind for spec in architecture.features}
    inputs = raw_inputs(architecture).items()
    return next((f"{name} is a {kinds[name]}" for name, (_, dtype) in inputs if dtype == "string"), None)


def converted(model_folder: Path, calibration: Columns | None = None) -> bytes:
    """Return the stored model as a LiteRT file: in float32, or, with `calibration` rows, in whole numbers of 8 bits."""
    tf = import_tensorflow()
    module = fixed_module(model_folder)
    with tempfile.TemporaryDirectory(prefix="ratchet-") as folder:
        tf.saved_model.save(module, folder, signatures={SIGNATURE: module.serve.get_concrete_function()})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
        converter.exclude_conversion_metadata = True  # which TensorFlow made it is in the record
        if calibration is not None:
            rows = as_given(calibration, fixed_inputs(stored.read_architecture(model_folder)))
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ((SIGNATURE, row) for row in _one_by_one(rows))
        content: bytes = converter.convert()
    return compacted(content)


def interpreted(path: Path) -> Callable[[Columns], npt.NDArray[np.float32]]:
    """Return how a LiteRT file is asked by its interpreter, on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    run = interpreter.get_signature_runner(SIGNATURE)

    def asked(columns: Columns) -> npt.NDArray[np.float32]:
        [answers] = run(**columns).values()
        found: npt.NDArray[np.float32] = answers
        return found

    return asked


def as_given(columns: Columns, inputs: Inputs) -> Columns:
    """Return raw values by feature in the types of a form's inputs."""
    return {name: columns[name].astype(dtype, copy=False) for name, (_, dtype) in inputs.items()}


def _one_by_one(rows: Columns) -> Iterator[Columns]:
    for place in range(len(next(iter(rows.values())))):
        yield {name: values[place : place + 1] for name, values in rows.items()}


def fixed_module(model_folder: Path) -> Any:
    """Return the stored model as a `tf.Module` whose function `serve` takes such inputs by name; see `serving_module`.

    Raises DataError where there is no such form.
    """
    tf = import_tensorflow()
    architecture, model = stored.read_architecture(model_folder), stored.load(model_folder)
    output = output_name(architecture)
    taken = {
        name: tf.TensorSpec([None, *shape], dtype, name=name)
        for name, (shape, dtype) in fixed_inputs(architecture).items()
    }

    # As constants: LiteRT's converter reads variables of Keras as if nothing had been assigned to them.
    weights = [
        [variable.numpy() for variable in of] for of in (model.trainable_variables, model.non_trainable_variables)
    ]

    class Fixed(tf.Module):  # type: ignore[misc, name-defined]
        """A stored model with fixed names and sizes of its inputs."""

        @tf.function(input_signature=[taken], autograph=False)  # type: ignore[untyped-decorator]
        def serve(self, columns: dict[str, Any]) -> dict[str, Any]:
            prepared = {spec.name: _prepared(spec, columns[spec.name]) for spec in architecture.features}
            answers, _ = model.stateless_call(*weights, prepared, training=False)
            return {output: with_no_answers(answers, prepared)}

    return Fixed()


def _prepared(spec: FeatureSpec, raw: Any) -> Any:
    if raw.dtype == spec.dtype and tuple(raw.shape[1:]) == spec.shape:
        return raw  # in its size, an image is prepared already
    return preprocessing_module(spec.kind).prepare(spec, raw)
