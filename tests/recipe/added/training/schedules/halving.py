"""Halves the learning rate again and again."""

from __future__ import annotations

from pydantic import Field

from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings in the recipe."""

    times: int = Field(default=4, ge=1, description="how often")


def share(settings: Settings, step: int, steps: int) -> float:
    """Return the share of the peak that is left."""
    return float(0.5 ** (settings.times * step // max(1, steps)))
