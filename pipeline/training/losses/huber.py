"""Huber's loss: half the squared error up to `delta`, linear beyond, so that a few large errors do not decide.

Recipe: `train: {loss: {name: huber, settings: {delta: 1.0}}}`, delta in deviations of the target.
Source: Huber, "Robust Estimation of a Location Parameter", Annals of Mathematical Statistics 35 (1964).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import Field

from pipeline.recipe.settings import Positive
from pipeline.recipe.settings import Settings as Base

TARGET = "number"


class Settings(Base):
    """Its settings in the recipe."""

    delta: Positive = Field(default=1.0, le=1000, description="error from which on it counts linearly, in deviations")


def build(settings: Settings, classes: int) -> Callable[[Any, Any], Any]:  # noqa: ARG001 - as every loss is called
    """Return the loss of each row, `[batch] float32`, of labels `[batch] float32` and logits `[batch, 1] float32`.

    Both are in deviations from the mean of the target on the training part.
    """
    import tensorflow as tf

    def loss(labels: Any, logits: Any) -> Any:
        size = tf.abs(logits[:, 0] - labels)
        inner = tf.minimum(size, settings.delta)
        return inner * (size - 0.5 * inner)

    return loss
