"""Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019). Recipe: `train: {optimizer: adamw}`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pipeline.recipe.settings import Fraction, NotNegative, Positive
from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings in the recipe."""

    beta_1: Fraction = Field(default=0.9, description="decay of the mean of gradients")
    beta_2: Fraction = Field(default=0.999, description="decay of the mean of squared gradients")
    epsilon: Positive = Field(default=1e-7, le=1, description="added to the divisor")
    weight_decay: NotNegative = Field(default=0.004, le=1, description="decoupled weight decay")


def build(settings: Settings, learning_rate: float) -> Any:
    """Return the Keras optimizer; every step sets its learning rate."""
    import keras

    return keras.optimizers.AdamW(
        learning_rate,
        beta_1=settings.beta_1,
        beta_2=settings.beta_2,
        epsilon=settings.epsilon,
        weight_decay=settings.weight_decay,
    )
