"""Cover a rectangle of some images with one grey level: Z. Zhong et al., "Random Erasing", AAAI 2020, algorithm 1.

Recipe: `augment: {steps: [{name: erase, settings: {probability: 0.2, area: 0.15}}]}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from pipeline.recipe.settings import Fraction, Probability
from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pipeline.augmentation.counter_random import Keys

KINDS = ("image",)
_DRAWS = 6  # whether, area, aspect, top, left, grey level


class Settings(Base):
    """Its settings in the recipe."""

    probability: Probability = Field(description="probability that a rectangle is erased")
    area: Fraction = Field(default=0.15, description="largest erased area, as a fraction of the image")


def change(values: npt.NDArray[np.uint8], keys: Keys, settings: Settings) -> npt.NDArray[np.uint8]:
    """Return changed copies of `[image, height, width, channel] uint8`; `keys` are `[image]`.

    The area is uniform in (0, `area`], the aspect ratio log-uniform in [1/2, 2], position and grey level uniform.
    """
    if not (settings.probability and settings.area):
        return values
    import numpy as np

    from pipeline.augmentation.counter_random import uniform

    draws = uniform(keys, 0, _DRAWS)
    chosen = np.flatnonzero(draws[:, 0] < settings.probability)
    _, area, aspect, top, left, level = draws[chosen].T
    _, height, width, _ = values.shape
    covered = (1 - area) * settings.area * height * width
    ratio = np.exp2(2 * aspect - 1)
    is_row = _spans(np.sqrt(covered * ratio), top, height)
    is_column = _spans(np.sqrt(covered / ratio), left, width)
    covered_pixels = (is_row[:, :, None] & is_column[:, None, :])[..., None]
    levels = np.floor(level * 256).astype(np.uint8)[:, None, None, None]
    erased = values.copy()
    erased[chosen] = np.where(covered_pixels, levels, values[chosen])
    return erased


def _spans(length: npt.NDArray[np.float64], position: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.bool_]:
    """Return `[image, side]`: true over `length` pixels (1 to `side`) at `position` (0 to 1) of the free range."""
    import numpy as np

    whole = np.clip(np.rint(length), 1, side)
    first = np.floor(position * (side - whole + 1))
    pixel = np.arange(side)
    within: npt.NDArray[np.bool_] = (pixel >= first[:, None]) & (pixel < (first + whole)[:, None])
    return within
