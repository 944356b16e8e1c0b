"""Lay another training row over some rows, and its label over theirs: mixup and CutMix.

Recipe: `augment: {steps: [{name: overlay, settings: {mixup: 0.25, cutmix: 0.25}}]}`.
Sources: H. Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018; S. Yun et al., "CutMix", ICCV 2019,
equations 1 and 2.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from pipeline.recipe.settings import Positive, Probability
from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pipeline.augmentation.counter_random import Keys

KINDS = ("image",)
_DRAWS = 4  # which of the two or neither, the other row, the rectangle's middle from the left and from above
_SHARE = _DRAWS  # the next number of the stream picks the share
_SHARE_BITS = 8  # shares are multiples of 2^-8


class Settings(Base):
    """Its settings in the recipe."""

    mixup: Probability = Field(default=0.0, description="probability that a row is blended with another")
    cutmix: Probability = Field(default=0.0, description="probability that it gets a rectangle of another")
    mixup_alpha: Positive = Field(default=0.4, le=100, description="shares of mixup are Beta(alpha, alpha)")
    cutmix_alpha: Positive = Field(default=1.0, le=100, description="shares of CutMix are Beta(alpha, alpha)")

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if self.mixup + self.cutmix > 1:
            raise ValueError(
                f"mixup + cutmix must be at most 1, not {self.mixup + self.cutmix:g}: a row gets one of them"
            )
        return self


def partners(keys: Keys, settings: Settings, rows: int) -> npt.NDArray[np.int64]:
    """Return which of `rows` training rows is laid over each, `[row] int64`; −1 for none."""
    import numpy as np

    from pipeline.augmentation.counter_random import uniform

    draws = uniform(keys, 0, 2)
    other = np.minimum((draws[:, 1] * rows).astype(np.int64), rows - 1)
    return np.where(draws[:, 0] < settings.mixup + settings.cutmix, other, -1)


def change(
    values: npt.NDArray[np.uint8], keys: Keys, settings: Settings, others: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Return images with others laid over them, and the share of each that is its own, `[image] float64`.

    Both are `[image, height, width, channel] uint8`, and `keys` `[image]` those for which there is a partner.
    """
    import numpy as np

    from pipeline.augmentation.counter_random import random_words, uniform

    draws = uniform(keys, 0, _DRAWS)
    picks = (random_words(keys, _SHARE, 1)[:, 0] >> np.uint64(48)).astype(np.int64)
    is_blended = draws[:, 0] < settings.mixup
    laid, shares = values.copy(), np.ones(len(values))

    blend = np.flatnonzero(is_blended)
    own = share_quantiles(settings.mixup_alpha).take(picks[blend])
    laid[blend] = _blended(values[blend], others[blend], own)
    shares[blend] = own / 2**_SHARE_BITS

    cut = np.flatnonzero(~is_blended)
    own = share_quantiles(settings.cutmix_alpha).take(picks[cut])
    is_other = _rectangles(own / 2**_SHARE_BITS, draws[cut, 2], draws[cut, 3], values.shape[1], values.shape[2])
    laid[cut] = np.where(is_other[..., None], others[cut], values[cut])
    shares[cut] = 1 - is_other.mean(axis=(1, 2))
    return laid, shares


@lru_cache(maxsize=4)
def share_quantiles(alpha: float) -> npt.NDArray[np.int64]:
    """Return the 65 536 quantiles of Beta(alpha, alpha) in 2^-8, rounded, `[65536] int64`: 16 random bits pick one."""
    import numpy as np
    from scipy.special import betaincinv

    quantiles = betaincinv(alpha, alpha, (np.arange(2**16) + 0.5) / 2**16)
    shares: npt.NDArray[np.int64] = np.rint(quantiles * 2**_SHARE_BITS).astype(np.int64)
    shares.flags.writeable = False
    return shares


def _blended(
    values: npt.NDArray[np.uint8], others: npt.NDArray[np.uint8], own: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint16]:
    """Return means of two images, rounded, with weights `own [image]` of 2^8 and the rest."""
    import numpy as np

    weight = own.astype(np.uint16)[:, None, None, None]  # 255 · 2^8 + 2^7 fits into 16 bits
    total = values * weight + others * (np.uint16(1 << _SHARE_BITS) - weight)
    return (total + np.uint16(1 << (_SHARE_BITS - 1))) >> np.uint16(_SHARE_BITS)


def _rectangles(
    own: npt.NDArray[np.float64], x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], height: int, width: int
) -> npt.NDArray[np.bool_]:
    """Return `[image, height, width]`: true over 1 − `own` of an image, about `x`, `y` (0 to 1), within its edges."""
    import numpy as np

    side = np.sqrt(1 - own)
    within = []
    for middle, whole in ((y, height), (x, width)):
        length = np.rint(side * whole)
        first = np.floor(middle * whole) - np.floor(length / 2)
        pixel = np.arange(whole)
        within.append((pixel >= first[:, None]) & (pixel < (first + length)[:, None]))
    rows, columns = within
    both: npt.NDArray[np.bool_] = rows[:, :, None] & columns[:, None, :]
    return both
