"""Numbers inside the model: filled, kept within bounds and scaled, by the arithmetic of `data/number_scaling.py`.

In float64, then float32, as the data phase does. A value that no clean row could hold has no answer: NaN.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import DataError

if TYPE_CHECKING:
    from pipeline.records.feature import FeatureSpec

_LIMIT = 1e30


class Scaling(NamedTuple):
    """What `data/number_scaling.py` learned; None where the settings ask for no such step."""

    fill: float | None
    lower: float | None
    upper: float | None
    least: float | None
    centre: float
    spread: float


def raw_input(spec: FeatureSpec) -> tuple[tuple[int | None, ...], str]:  # noqa: ARG001 - as every kind is asked
    """Return shape and dtype of one value as the served model takes it: a number, NaN for a missing one."""
    return (), "float64"


def prepare(spec: FeatureSpec, raw: Any) -> Any:
    """Return numbers `[batch] float64` as prepared ones, `[batch, component] float32`, by TensorFlow operations.

    A runtime that knows no float64 gives them as float32, and then they are computed so.
    """
    import tensorflow as tf

    settings, fitted = spec.settings, scaling(spec)
    lowest = -_LIMIT if settings["low"] is None else settings["low"]
    highest = _LIMIT if settings["high"] is None else settings["high"]
    # NaN is neither; other formats have no operation for it, and turn `≤` into `not >`.
    is_missing = tf.logical_not((raw > 0) | (raw < 1))
    has_no_answer = (raw < lowest) | (raw > highest)
    if fitted.fill is None:
        has_no_answer |= is_missing
    action = settings["outliers"]["action"] if settings["outliers"] else None
    standing = raw
    if action == "clip":
        standing = tf.clip_by_value(standing, fitted.lower, fitted.upper)
    # Gathered, not selected: converted to ONNX, a float64 that is selected is multiplied by 0 or 1, and NaN stays NaN.
    either = tf.stack([standing, tf.fill(tf.shape(raw), tf.constant(fitted.fill or 0.0, raw.dtype))], axis=1)
    standing = tf.gather(either, tf.cast(is_missing, tf.int32), batch_dims=1)
    if fitted.least is not None:
        standing = tf.math.log1p(tf.maximum(standing - fitted.least, 0.0))
    standing = tf.clip_by_value((standing - fitted.centre) / fitted.spread, -_LIMIT, _LIMIT)
    components = [tf.where(has_no_answer, math.nan, tf.cast(standing, tf.float32))]
    if settings["indicator"]:
        components.append(tf.cast(is_missing, tf.float32))
    if action == "flag":
        components.append(tf.cast((raw < fitted.lower) | (raw > fitted.upper), tf.float32))
    return tf.stack(components, axis=1)


def layers(spec: FeatureSpec, prepared: Any) -> Any:
    """Return `[batch, component] float32`: prepared values as they are.

    Raises DataError if what was fitted is not what the settings ask for.
    """
    scaling(spec)
    return prepared


def scaling(spec: FeatureSpec) -> Scaling:
    """Return what was fitted; raises as `layers`."""
    fitted, settings = spec.fitted or {}, spec.settings
    needed = {
        "fill": settings["missing"] != "reject",
        "lower": settings["outliers"] is not None,
        "upper": settings["outliers"] is not None,
        "least": settings["scale"] == "log",
        "centre": True,
        "spread": True,
    }
    values: dict[str, Any] = {key: fitted.get(key) for key in needed}
    for key, is_needed in needed.items():
        value = values[key]
        is_right = type(value) in (int, float) and math.isfinite(value) if is_needed else value is None
        if not is_right or (key == "spread" and value <= 0):
            raise DataError(f"feature {spec.name}: {key} {value} does not fit the settings of a number; train it again")
    return Scaling(**values)
