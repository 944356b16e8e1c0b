"""Images inside the model: any size is resized as `data/features/image.py` does, then normalised by channel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError

if TYPE_CHECKING:
    from pipeline.records.feature import FeatureSpec

_FLAT_STD = 1.0  # grey levels: the divisor for a channel that never changes


def raw_input(spec: FeatureSpec) -> tuple[tuple[int | None, ...], str]:
    """Return shape and dtype of one value as the served model takes it: an image of any size, decoded."""
    return (None, None, spec.shape[-1]), "uint8"


def prepare(spec: FeatureSpec, raw: Any) -> Any:
    """Return images `[batch, any, any, channel] uint8` in the size of prepared ones, by TensorFlow operations."""
    from pipeline.models.resizing import resize

    height, width, _ = spec.shape
    settings = spec.settings  # a model of before these settings has neither
    return resize(raw, height, width, spec.name, settings.get("resize", "stretch"), settings.get("background", 255))


def layers(spec: FeatureSpec, prepared: Any) -> Any:
    """Return `[batch, height, width, channel] float32` with mean 0 and deviation 1 by channel, from uint8 grey levels.

    Raises DataError if what was fitted is not a mean and a deviation for each channel.
    """
    import keras

    scale, offset = scale_and_offset(spec)
    return keras.layers.Rescaling(scale, offset, name=f"{spec.name}.normalised")(prepared)


def scale_and_offset(spec: FeatureSpec) -> tuple[list[float], list[float]]:
    """Return what a grey level is multiplied by, and what is added then, by channel; raises as `layers`."""
    fitted, channels = spec.fitted or {}, spec.shape[-1]
    mean, std = _numbers(fitted.get("mean")), _numbers(fitted.get("std"))
    if len(mean) != channels or len(std) != channels or min(std) < 0:
        raise DataError(f"feature {spec.name}: mean {mean} and std {std} do not fit {channels} channels of grey levels")
    divisors = [value if value > 0 else _FLAT_STD for value in std]
    return [1.0 / divisor for divisor in divisors], [-m / d for m, d in zip(mean, divisors, strict=True)]


def _numbers(values: Any) -> list[float]:
    is_one_a_channel = isinstance(values, list | tuple) and all(
        type(value) in (int, float) and math.isfinite(value) for value in values
    )
    return list(values) if is_one_a_channel else []
