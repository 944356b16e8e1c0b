"""Stochastic gradient descent, plain. Recipe: `train: {optimizer: sgd}`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pipeline.recipe.settings import NotNegative
from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings in the recipe."""

    weight_decay: NotNegative = Field(default=0.0, le=1, description="decoupled weight decay")


def build(settings: Settings, learning_rate: float) -> Any:
    """Return the Keras optimizer; every step sets its learning rate."""
    import keras

    return keras.optimizers.SGD(learning_rate, weight_decay=settings.weight_decay or None)
