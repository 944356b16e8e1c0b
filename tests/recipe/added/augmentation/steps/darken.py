"""Darkens every image by the same share."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pipeline.recipe.settings import Fraction
from pipeline.recipe.settings import Settings as Base

KINDS = ("image",)


class Settings(Base):
    """Its settings in the recipe."""

    share: Fraction = Field(default=0.1, description="share of each grey level that is taken away")


def change(values: Any, keys: Any, settings: Settings) -> Any:
    """Return the darker images."""
    return (values * (1.0 - settings.share)).astype(values.dtype)
