"""Cross-entropy of the true class, in nats. Recipe: `train: {loss: cross_entropy}`.

Label smoothing: Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, section 7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import Field

from pipeline.recipe.settings import Fraction
from pipeline.recipe.settings import Settings as Base

TARGET = "class"
TAKES_MIXED_TARGETS = True


class Settings(Base):
    """Its settings in the recipe."""

    label_smoothing: Fraction = Field(default=0.0, description="probability mass spread over the other classes")


def build(settings: Settings, classes: int) -> Callable[[Any, Any], Any]:
    """Return the loss of each row, `[batch] float32`, of labels `[batch] int32` and logits `[batch, class] float32`."""
    import tensorflow as tf

    def loss(labels: Any, logits: Any) -> Any:
        targets = tf.one_hot(labels, classes) * (1.0 - settings.label_smoothing) + settings.label_smoothing / classes
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)

    return loss
