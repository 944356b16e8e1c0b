"""Fitted features, architectures of them, and rows that they take."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.records.architecture import Architecture
from pipeline.records.feature import FeatureSpec

Columns = dict[str, npt.NDArray[Any]]


def image(
    shape: tuple[int, int, int] = (8, 8, 1), name: str = "image", mean: float = 72.0, std: float = 90.0, **changes: Any
) -> FeatureSpec:
    """Return the feature of images of a shape, every channel fitted alike."""
    height, width, channels = shape
    values: dict[str, Any] = {
        "name": name,
        "kind": "image",
        "dtype": "uint8",
        "shape": shape,
        "settings": {
            "raw_height": height,
            "raw_width": width,
            "channels": channels,
            "height": height,
            "width": width,
        },
        "facts": {f"{name}_mean": "float32", f"{name}_std": "float32"},
        "fitted": {"mean": [mean] * channels, "std": [std] * channels},
    }
    return FeatureSpec(**{**values, **changes})


def architecture(*features: FeatureSpec, **changes: Any) -> Architecture:
    """Return the architecture of a small model of these features, by default of one grey image."""
    values: dict[str, Any] = {
        "name": "mlp",
        "settings": {"units": [4]},
        "task": "classification",
        "features": features or (image(),),
        "classes": ("yes", "no"),
    }
    return Architecture(**{**values, **changes})


def rows_of(architecture: Architecture, rows: int = 5, seed: int = 1) -> Columns:
    """Return prepared rows of noise, `[row, *shape]` by feature."""
    rng = np.random.default_rng(seed)
    return {spec.name: rng.integers(0, 256, (rows, *spec.shape)).astype(spec.dtype) for spec in architecture.features}
