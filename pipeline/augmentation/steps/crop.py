"""Cut a part out of some images and enlarge it to their size: the "Inception" crop.

Recipe: `augment: {steps: [{name: crop, settings: {area: 0.5, aspect: 1.33}}]}`.
Source: C. Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from pipeline.recipe.settings import Probability
from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pipeline.augmentation.counter_random import Keys

KINDS = ("image",)
_DRAWS = 5  # whether, area, aspect, left, top


class Settings(Base):
    """Its settings in the recipe."""

    probability: Probability = Field(default=1.0, description="probability that an image is cut")
    area: float = Field(
        default=0.5, gt=0, le=1, description="smallest part of the image that is kept, as a fraction of its area"
    )
    aspect: float = Field(default=4 / 3, ge=1, le=4, description="largest change of its aspect ratio, as a factor")


def change(values: npt.NDArray[np.uint8], keys: Keys, settings: Settings) -> npt.NDArray[np.uint8]:
    """Return changed copies of `[image, height, width, channel] uint8`; `keys` are `[image]`.

    The area is uniform in [`area`, 1], the change of the aspect ratio log-uniform in [1/`aspect`, `aspect`], the place
    uniform. A side that would be longer than the image's is as long. Nothing comes from outside the image.
    """
    if not settings.probability or (settings.area == 1 and settings.aspect == 1):
        return values
    import numpy as np

    from pipeline.augmentation.counter_random import uniform
    from pipeline.augmentation.warping import Affine, warp

    draws = uniform(keys, 0, _DRAWS)
    chosen = np.flatnonzero(draws[:, 0] < settings.probability)
    _, area, aspect, left, top = draws[chosen].T
    kept = 1 - (1 - settings.area) * area
    ratio = np.power(settings.aspect, 2 * aspect - 1)
    width, height = np.minimum(np.sqrt(kept * ratio), 1), np.minimum(np.sqrt(kept / ratio), 1)
    none = np.zeros(len(chosen))
    # From the middle of the first pixel to that of the last one, so that no border is blended in.
    x0 = (1 - width) * (left - 0.5) * (values.shape[2] - 1)
    y0 = (1 - height) * (top - 0.5) * (values.shape[1] - 1)
    cut = values.copy()
    cut[chosen] = warp(values[chosen], Affine(xx=width, xy=none, x0=x0, yx=none, yy=height, y0=y0))
    return cut
