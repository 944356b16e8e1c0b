"""Fitted features, architectures of them, and rows that they take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

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


TEXTS = ["Buy now, buy cheap!", "see you at noon", "cheap cheap pills now", "at noon we see", "שלום עולם now", "grüße"]


def text(name: str = "body", learned: Sequence[str] = TEXTS, **settings: Any) -> FeatureSpec:
    """Return a feature of texts with the vocabulary of some."""
    from pipeline.data.feature_kinds import specs
    from pipeline.data.features import text as kind
    from pipeline.recipe.slots import Feature

    [spec] = specs({name: Feature(kind="text", settings={"at_least": 1, "missing": "empty", **settings})})
    return spec.changed(fitted=kind.fit(spec, [kind.learn(spec, text_rows(name, learned))]))


def text_rows(name: str, texts: Sequence[str | None]) -> pa.Table:
    """Return clean rows of texts."""
    return pa.table({name: pa.chunked_array([pa.array(texts, pa.string())])})


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
    """Return prepared rows of noise, `[row, *shape]` by feature; texts of a few words."""
    rng = np.random.default_rng(seed)
    return {spec.name: _values(spec, rows, rng) for spec in architecture.features}


def texts_of(rows: int, seed: int = 1) -> list[str]:
    """Return texts of words that models know, and of others; some are empty."""
    rng = np.random.default_rng(seed)
    words = [*" ".join(TEXTS).split(), "Unknown", "wörd"]
    return [" ".join(rng.choice(words, rng.integers(0, 9))) for _ in range(rows)]


def _values(spec: FeatureSpec, rows: int, rng: np.random.Generator) -> npt.NDArray[Any]:
    if spec.kind == "text":
        from pipeline.data.features import text as kind

        return kind.prepare(spec, text_rows(spec.name, texts_of(rows)))
    return rng.integers(0, 256, (rows, *spec.shape)).astype(spec.dtype)
