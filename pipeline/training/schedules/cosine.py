"""Half a cosine from the peak down: SGDR's without restarts. Recipe: `train: {schedule: cosine}`.

Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, equation 5.
"""

from __future__ import annotations

import math

from pydantic import Field

from pipeline.recipe.settings import Fraction
from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings in the recipe."""

    floor: Fraction = Field(default=0.0, description="share of the peak that is left at the end")


def share(settings: Settings, step: int, steps: int) -> float:
    """Return the share of the peak learning rate at step `step` of the `steps` after the warm-up."""
    falling = 0.5 * (1.0 + math.cos(math.pi * step / max(1, steps)))
    return settings.floor + (1.0 - settings.floor) * falling
