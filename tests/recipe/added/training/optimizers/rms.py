"""RMSprop."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pipeline.recipe.settings import Fraction
from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings in the recipe."""

    rho: Fraction = Field(default=0.9, description="decay of the mean of squared gradients")


def build(settings: Settings, learning_rate: float) -> Any:
    """Return the Keras optimizer."""
    import keras

    return keras.optimizers.RMSprop(learning_rate, rho=settings.rho)
