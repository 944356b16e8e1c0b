"""Blur some images by a Gaussian. Recipe: `augment: {steps: [{name: blur, settings: {probability: 0.3, sigma: 1.0}}]}`.

Everything per pixel is integer arithmetic, so that an image's result depends neither on its batch nor on the machine.
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

KINDS = ("image",)
_ONE_BITS = 15  # weights are multiples of 2^-15
_FRACTION_BITS = 8  # of a grey level, between the two passes: 255 · 2^8 · 2^15 fits into 31 bits
_BLOCK_VALUES = 65_536  # whose arrays stay in a core's second-level cache


class Settings(Base):
    """Its settings in the recipe."""

    probability: Probability = Field(default=0.5, description="probability that an image is blurred")
    sigma: NotNegative = Field(default=1.0, le=16, description="largest standard deviation of the Gaussian, pixels")


def change(values: npt.NDArray[np.uint8], keys: Keys, settings: Settings) -> npt.NDArray[np.uint8]:
    """Return changed copies of `[image, height, width, channel] uint8`; `keys` are `[image]`.

    The standard deviation is uniform in (0, `sigma`]. What lies outside an image is as its nearest pixel. Within one
    grey level of the exact value of a Gaussian that is cut off at three of the largest deviations.
    """
    if not (settings.probability and settings.sigma):
        return values
    import numpy as np

    from pipeline.augmentation.counter_random import uniform

    draws = uniform(keys, 0, 2)
    chosen = np.flatnonzero(draws[:, 0] < settings.probability)
    weights = _weights((1 - draws[chosen, 1]) * settings.sigma, int(np.ceil(3 * settings.sigma)))
    blurred = values.copy()
    block = max(1, _BLOCK_VALUES // int(np.prod(values.shape[1:])))
    for start in range(0, len(chosen), block):
        part = chosen[start : start + block]
        of_part = weights[start : start + block]
        fine = _along(values[part].astype(np.uint32), of_part, axis=1, drop_bits=_ONE_BITS - _FRACTION_BITS)
        blurred[part] = _along(fine, of_part, axis=2, drop_bits=_ONE_BITS + _FRACTION_BITS)
    return blurred


def _weights(sigma: npt.NDArray[np.float64], radius: int) -> npt.NDArray[np.uint32]:
    """Return each image's weights at the distances 0 to `radius`, `[image, distance]`: both sides add up to 2^15."""
    import numpy as np

    distance = np.arange(radius + 1)
    shares = np.exp(-0.5 * (distance / sigma[:, None]) ** 2)
    shares /= 2 * shares.sum(axis=1, keepdims=True) - shares[:, :1]
    weights = np.rint(shares * 2**_ONE_BITS).astype(np.uint32)
    weights[:, 0] = 2**_ONE_BITS - 2 * weights[:, 1:].sum(axis=1)
    whole: npt.NDArray[np.uint32] = weights
    return whole


def _along(
    values: npt.NDArray[np.uint32], weights: npt.NDArray[np.uint32], axis: int, drop_bits: int
) -> npt.NDArray[np.uint32]:
    """Return weighted sums along an axis of `[image, height, width, channel]`, rounded to so many bits less."""
    import numpy as np

    side, radius = values.shape[axis], weights.shape[1] - 1
    total = values * weights[:, 0, None, None, None]
    places = np.arange(side)
    for distance in range(1, radius + 1):
        before = values.take(np.maximum(places - distance, 0), axis=axis)
        before += values.take(np.minimum(places + distance, side - 1), axis=axis)
        before *= weights[:, distance, None, None, None]
        total += before
    total += np.uint32(1 << (drop_bits - 1))
    total >>= np.uint32(drop_bits)
    return total
