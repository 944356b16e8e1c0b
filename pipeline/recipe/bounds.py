"""Numbers that a check holds to, any of which the recipe may switch off with a reason: `{none: "few rows"}`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from pipeline.recipe.settings import NUMBER_TAG, OFF_TAG, Finite, Settings

SWITCH_OFF = "none"
_RESAMPLES_BEYOND = 20  # resamples beyond the limit, at the least: with fewer it is a matter of luck


class Off(Settings):
    """A check that is switched off, and why."""

    none: str = Field(min_length=1, max_length=500, pattern=r"\S", description="why there is no such check")


def _tag(value: Any) -> str:
    return OFF_TAG if isinstance(value, Mapping | Off) else NUMBER_TAG


_Open = Annotated[float, Field(gt=0, lt=0.5, allow_inf_nan=False)]
Bound = Annotated[Annotated[Finite, Tag(NUMBER_TAG)] | Annotated[Off, Tag(OFF_TAG)], Discriminator(_tag)]
# What may be lost: at 0 nothing passes, from a half on a coin would.
Margin = Annotated[Annotated[_Open, Tag(NUMBER_TAG)] | Annotated[Off, Tag(OFF_TAG)], Discriminator(_tag)]
# Bits of a perceptual hash, of 64. Of natural pictures that have nothing in common some 32 differ.
Distance = Annotated[
    Annotated[Annotated[int, Field(ge=0, le=12)], Tag(NUMBER_TAG)] | Annotated[Off, Tag(OFF_TAG)], Discriminator(_tag)
]


def require_resamples(resamples: int, confidence: float) -> None:
    """Raise ValueError unless so many resamples can show a limit at this confidence."""
    needed = math.ceil(round(_RESAMPLES_BEYOND / (1 - confidence), 6))
    if resamples < needed:
        raise ValueError(f"resamples must be at least {needed} at a confidence of {confidence:g}, not {resamples}")
