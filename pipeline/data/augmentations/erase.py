"""Cover a rectangle of some images with one grey level: Z. Zhong et al., "Random Erasing", AAAI 2020, algorithm 1.

Recipe: `augment: {steps: [{name: erase, settings: {probability: 0.2, area: 0.15}}]}`.
"""

from __future__ import annotations

from pydantic import Field

from pipeline.recipe.settings import Fraction, Probability
from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings in the recipe."""

    probability: Probability = Field(description="probability that a rectangle is erased")
    area: Fraction = Field(default=0.15, description="largest erased area, as a fraction of the image")
