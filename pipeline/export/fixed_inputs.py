"""The stored model for small runtimes, which have neither texts nor float64: a narrower form of the raw inputs.

An image comes in the one size that the model works on, a number as float32. All that was fitted is inside all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import DataError
from pipeline.models import stored
from pipeline.models.build import preprocessing_module
from pipeline.models.serving import output_name, raw_inputs
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

    class Fixed(tf.Module):  # type: ignore[misc]
        """A stored model with fixed names and sizes of its inputs."""

        @tf.function(input_signature=[taken], autograph=False)  # type: ignore[untyped-decorator]
        def serve(self, columns: dict[str, Any]) -> dict[str, Any]:
            prepared = {spec.name: _prepared(spec, columns[spec.name]) for spec in architecture.features}
            answers, _ = model.stateless_call(*weights, prepared, training=False)
            return {output: answers}

    return Fixed()


def _prepared(spec: FeatureSpec, raw: Any) -> Any:
    if raw.dtype == spec.dtype and tuple(raw.shape[1:]) == spec.shape:
        return raw  # in its size, an image is prepared already
    return preprocessing_module(spec.kind).prepare(spec, raw)
