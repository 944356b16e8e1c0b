"""A feature: one named, fixed-size, typed column of prepared data, and what a model needs to know of it."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, field_validator

from pipeline.records.record import Record

_ITEM_BYTES = {"uint8": 1, "int32": 4, "int64": 8, "float32": 4}


class FeatureSpec(Record):
    """One feature. A prepared value is an array of `shape` and `dtype`: an image is `[height, width, channel] uint8`.

    `kind` names its file in `data/features/` and in `models/preprocessing/`; `settings` are that kind's, complete.
    `facts` are the columns that stand beside it for contracts, with their Arrow types. `fitted` is what was learned
    from the training part, None before that.
    """

    name: str
    kind: str
    dtype: Literal["uint8", "int32", "int64", "float32"]
    shape: tuple[int, ...]
    role: Literal["input", "target"] = "input"
    settings: dict[str, Any] = Field(default_factory=dict)
    facts: dict[str, str] = Field(default_factory=dict)
    fitted: dict[str, Any] | None = None

    @field_validator("shape")
    @classmethod
    def _is_a_shape(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(length < 1 for length in value) or math.prod(value) > 2**31:
            raise ValueError(f"{list(value)} is no shape of a value")
        return value

    @property
    def size_bytes(self) -> int:
        """Size of one prepared value, in bytes."""
        return math.prod(self.shape) * _ITEM_BYTES[self.dtype]

    @property
    def type(self) -> str:
        """The column's type, for a manifest: `uint8[28,28,1]`, or `float32` for a single number."""
        return f"{self.dtype}[{','.join(map(str, self.shape))}]" if self.shape else self.dtype
