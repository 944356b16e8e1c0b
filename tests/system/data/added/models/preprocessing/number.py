"""Numbers inside the model: from 0 at the smallest to 1 at the largest value of the training part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.records.feature import FeatureSpec


def raw_input(spec: FeatureSpec) -> tuple[tuple[int | None, ...], str]:
    return (), "float64"


def prepare(spec: FeatureSpec, raw: Any) -> Any:
    import tensorflow as tf

    return tf.cast(raw, tf.float32)


def layers(spec: FeatureSpec, prepared: Any) -> Any:
    import keras

    fitted = spec.fitted or {}
    smallest, width = fitted["smallest"], (fitted["largest"] - fitted["smallest"]) or 1.0
    return keras.layers.Rescaling(1.0 / width, -smallest / width, name=f"{spec.name}.normalised")(prepared)
