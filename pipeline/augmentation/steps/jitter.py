"""Add normal noise to numbers. Recipe: `augment: {steps: [{name: jitter, settings: {deviation: 0.05}}]}`.

It is added to the scaled number alone: whether a value was missing, or is an outlier, stays as it is. Each feature of a
row gets noise of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from pipeline.recipe.settings import NotNegative, Probability
from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pipeline.augmentation.counter_random import Keys

KINDS = ("number",)
DRAWS_BY_FEATURE = True
_DRAWS = 1  # whether a number is changed; the next number of the stream is its noise


class Settings(Base):
    """Its settings in the recipe."""

    deviation: NotNegative = Field(
        le=10,
        description="standard deviation of the noise, in units of the scaled number: with scale standard the training "
        "part's standard deviation, with log that of the logarithms, with minmax its range, with robust the distance "
        "of its quartiles, with none the number's own unit",
    )
    probability: Probability = Field(default=1.0, description="probability that a number is changed")


def change(values: npt.NDArray[np.float32], keys: Keys, settings: Settings) -> npt.NDArray[np.float32]:
    """Return changed copies of `[row, component] float32`, the scaled number first; `keys` are `[row]`."""
    if not settings.deviation or not settings.probability:
        return values
    import numpy as np

    from pipeline.augmentation.counter_random import standard_normal, uniform

    is_changed = uniform(keys, 0, 1) < settings.probability
    noise = standard_normal(keys, _DRAWS, 1) * settings.deviation
    changed = values.copy()
    changed[:, :1] += np.where(is_changed, noise, 0.0).astype(np.float32)
    return changed
