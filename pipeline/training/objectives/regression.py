"""Regression while it trains: how far the answer is from the truth, in the target's unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.records.architecture import TargetScale


def metrics(labels: Any, logits: Any, target: TargetScale | None = None) -> dict[str, Any]:
    """Return figures of each row, `[batch] float32`, by name.

    Labels `[batch] float32` and logits `[batch, 1]` are in deviations from the mean of the target.
    """
    import tensorflow as tf

    deviation = target.deviation if target else 1.0
    return {"mae": tf.abs(logits[:, 0] - labels) * deviation}
