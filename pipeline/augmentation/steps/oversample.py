"""Train on more copies of rows of rare classes.

Recipe: `augment: {copies: 0, steps: [{name: oversample, settings: {share: 0.5}}]}`.
It changes nothing: the other steps do. Without any, the copies repeat their rows.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from pydantic import Field

from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    from collections.abc import Sequence


class Settings(Base):
    """Its settings in the recipe."""

    share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="share of the largest class that each class reaches, in rows that are trained on; 1: all are as "
        "large",
    )
    most: int = Field(default=32, ge=1, le=1000, description="copies of a row that are added, at most")


def copies_of(rows: Sequence[int], times: int, settings: Settings) -> list[int]:
    """Return how many copies of each row of a class are added, `[class]`.

    `rows [class]` are those of the training part, each of which is trained on so many `times` without this step. A
    class gets the fewest copies with which it reaches its share.
    """
    numerator, denominator = Fraction(str(settings.share)).as_integer_ratio()  # as written: 0.01 is a hundredth
    wanted = max(rows, default=0) * times * numerator
    return [min(settings.most, max(0, -(-wanted // (denominator * each)) - times)) if each else 0 for each in rows]
