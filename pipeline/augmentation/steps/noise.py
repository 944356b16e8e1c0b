"""Add normal noise to every pixel of an image. Recipe: `augment: {steps: [{name: noise, settings: {levels: 4.0}}]}`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from pipeline.recipe.settings import NotNegative
from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pipeline.augmentation.counter_random import Keys

KINDS = ("image",)
_BLOCK_BYTES = 32_768


class Settings(Base):
    """Its settings in the recipe."""

    levels: NotNegative = Field(le=128, description="standard deviation of the noise, in grey levels of 255")


def change(values: npt.NDArray[np.uint8], keys: Keys, settings: Settings) -> npt.NDArray[np.uint8]:
    """Return changed copies of `[image, height, width, channel] uint8`, clipped to 0 and 255; `keys` are `[image]`."""
    if not settings.levels:
        return values
    import numpy as np

    from pipeline.augmentation.counter_random import normal

    images = len(values)
    flat = values.reshape(images, int(np.prod(values.shape[1:])))
    noisy = np.empty_like(flat)
    block = max(1, _BLOCK_BYTES // flat.shape[1])
    for start in range(0, images, block):
        levels = normal(keys[start : start + block], 0, flat.shape[1], settings.levels)
        levels += flat[start : start + block]
        noisy[start : start + block] = np.clip(levels, 0, 255, out=levels)
    return noisy.reshape(values.shape)
