"""Add normal noise to every pixel of an image. Recipe: `augment: {steps: [{name: noise, settings: {levels: 4.0}}]}`."""

from __future__ import annotations

from pydantic import Field

from pipeline.recipe.settings import NotNegative
from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings in the recipe."""

    levels: NotNegative = Field(le=128, description="standard deviation of the noise, in grey levels of 255")
