"""Classification: a row belongs to one of several classes; the model answers with a probability for each.

Recipe: `task: {name: classification, settings: {calibration_bins: 15}}`.
"""

from __future__ import annotations

from pydantic import Field

from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings in the recipe."""

    calibration_bins: int = Field(default=15, ge=2, le=1000, description="bins of the expected calibration error")
