"""Shear images along both axes, each by an angle that is uniform either way.

Recipe: `augment: {steps: [{name: shear, settings: {x_deg: 10.0, y_deg: 0.0}}]}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pipeline.augmentation.counter_random import Keys

KINDS = ("image",)


class Settings(Base):
    """Its settings in the recipe."""

    x_deg: float = Field(default=0.0, ge=0, le=60, description="largest angle by which columns lean, degrees")
    y_deg: float = Field(default=0.0, ge=0, le=60, description="largest angle by which rows climb, degrees")
    outside: int = Field(
        default=0, ge=0, le=255, description="grey level of what lies outside of an image; 0 is black, 255 white"
    )


def change(values: npt.NDArray[np.uint8], keys: Keys, settings: Settings) -> npt.NDArray[np.uint8]:
    """Return changed copies of `[image, height, width, channel] uint8`; `keys` are `[image]`.

    The middle stays where it is: what is `y` below it comes from `tan(angle) · y` beside, and so for the other axis.
    """
    if not (settings.x_deg or settings.y_deg):
        return values
    import numpy as np

    from pipeline.augmentation.counter_random import uniform
    from pipeline.augmentation.warping import Affine, warp

    lean, climb = np.tan(np.deg2rad([settings.x_deg, settings.y_deg]) * (2 * uniform(keys, 0, 2) - 1)).T
    one, none = np.ones(len(keys)), np.zeros(len(keys))
    return warp(values, Affine(xx=one, xy=lean, x0=none, yx=climb, yy=one, y0=none), settings.outside)
