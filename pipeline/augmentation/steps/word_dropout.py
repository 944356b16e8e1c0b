"""Make some terms of a text unknown ones, as those are that were never trained on.

Recipe: `augment: {steps: [{name: word_dropout, settings: {probability: 0.1}}]}`.
Source: M. Iyyer et al., "Deep Unordered Composition Rivals Syntactic Methods for Text Classification", ACL 2015,
section 4, where a term is taken out; here its place stays.
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
_PADDING, _UNKNOWN = 0, 1


class Settings(Base):
    """Its settings in the recipe."""

    probability: Probability = Field(description="probability that a term becomes unknown, each by itself")


def check(settings: Settings, recipe: Recipe) -> None:  # noqa: ARG001 - as every step is asked
    """Raise UsageError if a text is not in form ids: it has no terms that could be changed one by one."""
    require_texts_of_ids("word_dropout", recipe)


def change(values: npt.NDArray[np.int32], keys: Keys, settings: Settings) -> npt.NDArray[np.int32]:
    """Return changed copies of texts `[row, length] int32`; `keys` are `[row]`."""
    if not settings.probability:
        return values
    import numpy as np

    from pipeline.augmentation.counter_random import uniform

    is_dropped = uniform(keys, 0, values.shape[1]) < settings.probability
    return np.where(is_dropped & (values != _PADDING), np.int32(_UNKNOWN), values)
