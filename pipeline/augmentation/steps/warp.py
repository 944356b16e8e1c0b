"""Flip, scale, rotate and shift images in one warp; the scale is log-uniform: as often smaller as larger.

Recipe: `augment: {steps: [{name: warp, settings: {flip: 0.5, shift: 0.08, rotate_deg: 8.0, scale: 0.08}}]}`.
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
# Positions of its random numbers in a copy's stream.
_FLIP, _SCALE, _ANGLE, _SHIFT_X, _SHIFT_Y = range(5)
_DRAWS = 5


class Settings(Base):
    """Its settings in the recipe."""

    flip: Probability = Field(default=0.0, description="probability of a left-right flip")
    shift: Fraction = Field(default=0.0, description="largest shift along each axis, as a fraction of the image")
    rotate_deg: float = Field(default=0.0, ge=0, le=180, description="largest rotation either way, degrees")
    scale: Fraction = Field(default=0.0, description="largest change of size either way, as a fraction")
    outside: int = Field(
        default=0, ge=0, le=255, description="grey level of what lies outside of an image; 0 is black, 255 white"
    )


def change(values: npt.NDArray[np.uint8], keys: Keys, settings: Settings) -> npt.NDArray[np.uint8]:
    """Return changed copies of `[image, height, width, channel] uint8`; `keys` are `[image]`."""
    if not (settings.flip or settings.scale or settings.rotate_deg or settings.shift):
        return values
    import numpy as np

    from pipeline.augmentation.counter_random import uniform
    from pipeline.augmentation.warping import affine, warp

    draws = uniform(keys, 0, _DRAWS)
    either_way = 2 * draws - 1
    _, height, width, _ = values.shape
    moved = affine(
        is_flipped=draws[:, _FLIP] < settings.flip,
        scale=np.power(1 + settings.scale, either_way[:, _SCALE]),
        angle_rad=np.deg2rad(settings.rotate_deg) * either_way[:, _ANGLE],
        shift_x=settings.shift * width * either_way[:, _SHIFT_X],
        shift_y=settings.shift * height * either_way[:, _SHIFT_Y],
    )
    return warp(values, moved, settings.outside)
