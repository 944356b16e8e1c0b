"""`architecture.json` of a stored model: what it is, and the digest of its weights."""

from __future__ import annotations

import json
from typing import Any

from pydantic import field_validator

from pipeline.records.record import Record


class Architecture(Record):
    """What a model is, without its weights. `statistics` are `{"mean": [c], "std": [c]}` in grey levels of 0 to 255."""

    name: str
    settings: dict[str, Any]
    input_shape: tuple[int, int, int]  # height, width, channels
    classes: tuple[str, ...]
    statistics: dict[str, tuple[float, ...]]

    @field_validator("statistics")
    @classmethod
    def _has_mean_and_std(cls, value: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
        if set(value) != {"mean", "std"}:
            raise ValueError(f"must be mean and std by channel, not {', '.join(sorted(value)) or 'nothing'}")
        return value


class StoredArchitecture(Architecture):
    """An architecture with the number of its weights and the digest of the file that holds them."""

    parameters: int
    weights: str

    def to_bytes(self) -> bytes:
        """Return the file's bytes, from which a model's identity is computed: with sorted keys, so in a fixed order."""
        return json.dumps(self.to_json(), indent=2, sort_keys=True).encode() + b"\n"
