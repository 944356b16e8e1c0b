"""Let some neighbouring terms of a text change places.

Recipe: `augment: {steps: [{name: word_swap, settings: {probability: 0.1}}]}`.
Source: J. Wei and K. Zou, "EDA: Easy Data Augmentation Techniques for Boosting Performance on Text Classification
Tasks", EMNLP 2019, section 2 (random swap), with neighbours, so that no term goes far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from pipeline.recipe.model_inputs import require_texts_of_ids
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import Probability
from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pipeline.augmentation.counter_random import Keys

KINDS = ("text",)
_PADDING = 0


class Settings(Base):
    """Its settings in the recipe."""

    probability: Probability = Field(description="probability that two neighbours change places, each pair by itself")


def check(settings: Settings, recipe: Recipe) -> None:  # noqa: ARG001 - as every step is asked
    """Raise UsageError if a text is not in form ids: it has no order that could be another."""
    require_texts_of_ids("word_swap", recipe)


def change(values: npt.NDArray[np.int32], keys: Keys, settings: Settings) -> npt.NDArray[np.int32]:
    """Return changed copies of texts `[row, length] int32`; `keys` are `[row]`.

    The pairs of a text begin at its first term or at its second, with equal probability: so a term is in one pair at
    most, and every two neighbours can be one. Padding stays at the end.
    """
    if not settings.probability:
        return values
    import numpy as np

    from pipeline.augmentation.counter_random import uniform

    rows, length = values.shape
    draws = uniform(keys, 0, 1 + length // 2)
    first = (draws[:, :1] >= 0.5).astype(np.int64)
    left = first + 2 * np.arange(length // 2)
    right = np.minimum(left + 1, length - 1)  # of a pair that begins at the last place nothing follows
    row = np.arange(rows)[:, None]
    is_swapped = (draws[:, 1:] < settings.probability) & (values[row, right] != _PADDING) & (left < right)
    chosen, pair = np.nonzero(is_swapped)
    swapped = values.copy()
    swapped[chosen, left[chosen, pair]] = values[chosen, right[chosen, pair]]
    swapped[chosen, right[chosen, pair]] = values[chosen, left[chosen, pair]]
    return swapped
