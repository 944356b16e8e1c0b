"""`architecture.json` of a stored model: what it is, and the digest of its weights."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from pipeline.errors import DataError
from pipeline.records.feature import FeatureSpec
from pipeline.records.record import Record

ARCHITECTURE_FILE = "architecture.json"
WEIGHTS_FILE = "weights.safetensors"
MODEL_FILES = (ARCHITECTURE_FILE, WEIGHTS_FILE)  # of a stored model
_LEFT_OUT = ("target", "predicts")  # keys of an architecture that are not written where there is nothing


class TargetScale(Record):
    """The mean and the standard deviation of a target that is a number, on the training part, in its unit."""

    mean: float
    deviation: float = Field(gt=0)


class Predicted(Record):
    """What is predicted: the column of the source's table, the edges that cut it into classes, and a number's unit.

    `column` is None where the source has no such column. Two numbers in one file mean the same only if these agree.
    """

    column: str | None = None
    edges: tuple[float, ...] = ()
    unit: str = ""


class Architecture(Record):
    """What a model is, without its weights: a file in `models/architectures/`, its settings, its inputs and its task.

    `features` are the inputs, fitted. `target` is the scale of a target that is a number, `predicts` what a column of a
    table, or a number, means. Where there is none of a key, it is left out, so that a model has the digest that it had
    before; of a model written before `predicts` was, that is not known. Record version 1 had one image (`input_shape`,
    `statistics`) and no `task`.
    """

    VERSION: ClassVar[int] = 2
    name: str
    settings: dict[str, Any]
    task: str
    features: tuple[FeatureSpec, ...]
    classes: tuple[str, ...]
    target: TargetScale | None = None
    predicts: Predicted | None = None

    @model_serializer(mode="wrap")
    def _without_nothing(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = serialise(self)
        return {key: value for key, value in values.items() if value is not None or key not in _LEFT_OUT}

    @classmethod
    def upgraded(cls, values: dict[str, Any], version: int) -> dict[str, Any]:
        """Read record version 1."""
        if version > 1 or "features" in values:
            return values
        shape, fitted = values.pop("input_shape", None), values.pop("statistics", None)
        if not isinstance(shape, list) or len(shape) != 3:
            raise DataError(f"architecture.json: input_shape {shape!r:.80} is not [height, width, channels]")
        if not isinstance(fitted, dict) or set(fitted) != {"mean", "std"}:
            raise DataError("architecture.json: statistics must be mean and std by channel")
        height, width, channels = shape
        sizes = {"raw_height": height, "raw_width": width, "channels": channels, "height": height, "width": width}
        image: dict[str, Any] = {"name": "image", "kind": "image", "dtype": "uint8", "shape": shape, "role": "input"}
        image |= {"settings": sizes, "facts": {}, "fitted": fitted}
        return {**values, "task": "classification", "features": [image]}


class StoredArchitecture(Architecture):
    """An architecture with the number of its weights and the digest of the file that holds them."""

    parameters: int
    weights: str

    def to_bytes(self) -> bytes:
        """Return the file's bytes, from which a model's identity is computed: with sorted keys, so in a fixed order."""
        return json.dumps(self.to_json(), indent=2, sort_keys=True).encode() + b"\n"
