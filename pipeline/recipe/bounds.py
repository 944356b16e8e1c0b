"""Numbers that a check holds to, any of which the recipe may switch off with a reason: `{none: "few rows"}`."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Discriminator, Field, Tag

from pipeline.errors import UsageError
from pipeline.recipe.settings import NUMBER_TAG, OFF_TAG, Finite, Settings

if TYPE_CHECKING:
    from pipeline.recipe.task import Task

SWITCH_OFF = "none"
_A_COIN = 0.5
_RESAMPLES_BEYOND = 20  # resamples beyond the limit, at the least: with fewer it is a matter of luck


class Off(Settings):
    """A check that is switched off, and why."""

    none: str = Field(min_length=1, max_length=500, pattern=r"\S", description="why there is no such check")


def _tag(value: Any) -> str:
    return OFF_TAG if isinstance(value, Mapping | Off) else NUMBER_TAG


_Open = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Bound = Annotated[Annotated[Finite, Tag(NUMBER_TAG)] | Annotated[Off, Tag(OFF_TAG)], Discriminator(_tag)]
# What may be lost, as a share of rows or in the unit of a task's score: at 0 nothing passes.
Margin = Annotated[Annotated[_Open, Tag(NUMBER_TAG)] | Annotated[Off, Tag(OFF_TAG)], Discriminator(_tag)]
# Bits of a perceptual hash, of 64. Of natural pictures that have nothing in common some 32 differ.
Distance = Annotated[
    Annotated[Annotated[int, Field(ge=0, le=12)], Tag(NUMBER_TAG)] | Annotated[Off, Tag(OFF_TAG)], Discriminator(_tag)
]


def require_in_unit(margins: Mapping[str, float | Off], missing: Collection[str], task: Task) -> None:
    """Raise UsageError for a margin of the gate's rule that says nothing of the scores of a task.

    Of rows that are right or wrong, a half and more could be lost to a coin. A loss has a unit, and no number is right
    for every unit: of its margins none may be `missing`, though another default would be taken.
    """
    metric = task.scored_by
    if not metric.is_share:
        for name in sorted(missing):
            unit = metric.unit or "the unit of the target"
            raise UsageError(
                f"gate.rule.settings.{name}: is missing; say how much {task.score_title} may be lost, in {unit}, or "
                'switch it off: {none: "reason"}'
            )
        return
    for name, margin in margins.items():
        if not isinstance(margin, Off) and margin >= _A_COIN:
            raise UsageError(
                f"gate.rule.settings.{name}: must be below {_A_COIN:g}, as a share of rows: at {margin:g} a coin passes"
            )


def require_resamples(resamples: int, confidence: float) -> None:
    """Raise ValueError unless so many resamples can show a limit at this confidence."""
    needed = math.ceil(round(_RESAMPLES_BEYOND / (1 - confidence), 6))
    if resamples < needed:
        raise ValueError(f"resamples must be at least {needed} at a confidence of {confidence:g}, not {resamples}")
