"""Flip, scale, rotate and shift images in one warp; the scale is log-uniform: as often smaller as larger.

Recipe: `augment: {steps: [{name: warp, settings: {flip: 0.5, shift: 0.08, rotate_deg: 8.0, scale: 0.08}}]}`.
"""

from __future__ import annotations

from pydantic import Field

from pipeline.recipe.settings import Fraction, Probability
from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings in the recipe."""

    flip: Probability = Field(default=0.0, description="probability of a left-right flip")
    shift: Fraction = Field(default=0.0, description="largest shift along each axis, as a fraction of the image")
    rotate_deg: float = Field(default=0.0, ge=0, le=180, description="largest rotation either way, degrees")
    scale: Fraction = Field(default=0.0, description="largest change of size either way, as a fraction")
