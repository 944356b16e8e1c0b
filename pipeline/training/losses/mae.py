"""Absolute error, in deviations of the target. Recipe: `train: {loss: mae}`. Its best constant answer is the median."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.recipe.settings import Settings as Base

TARGET = "number"


class Settings(Base):
    """It has no settings in the recipe."""


def build(settings: Settings, classes: int) -> Callable[[Any, Any], Any]:  # noqa: ARG001 - as every loss is called
    """Return the loss of each row, `[batch] float32`, of labels `[batch] float32` and logits `[batch, 1] float32`.

    Both are in deviations from the mean of the target on the training part.
    """
    import tensorflow as tf

    def loss(labels: Any, logits: Any) -> Any:
        return tf.abs(logits[:, 0] - labels)

    return loss
