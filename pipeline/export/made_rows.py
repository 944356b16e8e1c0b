"""Rows that are made up, for a model whose test rows are not at hand: as its features take them, by what was fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.models.serving import raw_inputs
from pipeline.records.architecture import Architecture
from pipeline.records.feature import FeatureSpec
from pipeline.storage.shards import Columns

_WORDS = 12
_UNKNOWN = "unknown"


def made_rows(architecture: Architecture, rows: int = 256, seed: int = 0) -> Columns:
    """Return raw rows by feature, `[row, …]`: images of noise, numbers around the fitted mean, fitted words."""
    rng = np.random.default_rng(seed)
    types = raw_inputs(architecture)
    return {spec.name: _values(spec, *types[spec.name], rows, rng) for spec in architecture.features}


def _values(
    spec: FeatureSpec, shape: tuple[int | None, ...], dtype: str, rows: int, rng: np.random.Generator
) -> npt.NDArray[Any]:
    fitted = spec.fitted or {}
    if dtype == "string":
        words = [*fitted.get("vocabulary", []), _UNKNOWN]
        count = _WORDS if spec.shape else 1  # a prepared text has a length, a category has none
        values = np.empty(rows, np.object_)
        values[:] = [" ".join(rng.choice(words, rng.integers(1, count + 1))) for _ in range(rows)]
        return values
    sides = spec.shape if None in shape else tuple(side for side in shape if side is not None)
    if dtype.startswith("float"):
        centre, spread = (float(fitted.get(key) or default) for key, default in (("centre", 0.0), ("spread", 1.0)))
        settings = spec.settings
        numbers = rng.normal(centre, spread, (rows, *sides))
        return np.clip(numbers, settings.get("low"), settings.get("high")).astype(dtype)
    return rng.integers(0, 256, (rows, *sides)).astype(dtype)
