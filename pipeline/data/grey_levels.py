"""Mean and standard deviation of grey levels (0 to 255), from exact integer sums.

Integers add up to the same in any order, so no figure here depends on how rows were divided among tasks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_INT32_ROWS = (2**31 - 1) // 255**2  # the squares of this many pixels add up within 32 bits
_BLOCK_VALUES = 2**18  # that stay in the processor's cache


@dataclass(frozen=True)
class ImageSums:
    """Sums over each image's pixels: `total` and `squares` are `[image, channel] int64`; `pixels` per channel."""

    total: npt.NDArray[np.int64]
    squares: npt.NDArray[np.int64]
    pixels: int

    def mean_and_std(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return mean and (population) standard deviation of each image over all channels, `[image] float32`."""
        count = self.pixels * self.total.shape[1]
        total, squares = self.total.sum(axis=1), self.squares.sum(axis=1)
        variance = (squares * count - total * total) / count**2  # the numerator is exact, so a flat image has 0
        return (total / count).astype(np.float32), np.sqrt(variance).astype(np.float32)


def image_sums(pixels: npt.NDArray[np.uint8]) -> ImageSums:
    """Add up `[image, height, width, channel] uint8`."""
    images, height, width, channels = pixels.shape
    wide: type[np.signedinteger] = np.int32 if height <= _INT32_ROWS else np.int64
    sums = np.empty((2, images, channels), np.int64)
    block = max(1, _BLOCK_VALUES // (height * width * channels))
    for start in range(0, images, block):
        rows = pixels[start : start + block].reshape(-1, height, width * channels).astype(wide)
        # Down the columns first: neighbours in memory are added to neighbours, many at a time.
        squares: npt.NDArray[np.int64] = np.einsum("irc,irc->ic", rows, rows)
        for into, columns in zip(sums, (rows.sum(axis=1, dtype=wide), squares), strict=True):
            into[start : start + block] = columns.reshape(-1, width, channels).sum(axis=1, dtype=np.int64)
    return ImageSums(total=sums[0], squares=sums[1], pixels=height * width)


@dataclass(frozen=True)
class ChannelSums:
    """Sums over many images, one Python integer per channel: exact at any size."""

    images: int
    pixels: int
    total: tuple[int, ...]
    squares: tuple[int, ...]

    @classmethod
    def of(cls, sums: ImageSums) -> ChannelSums:
        """Add up the images."""
        total, squares = sums.total.sum(axis=0).tolist(), sums.squares.sum(axis=0).tolist()
        return cls(len(sums.total), len(sums.total) * sums.pixels, tuple(total), tuple(squares))

    def __add__(self, other: ChannelSums) -> ChannelSums:
        return ChannelSums(
            self.images + other.images,
            self.pixels + other.pixels,
            _added(self.total, other.total),
            _added(self.squares, other.squares),
        )

    def statistics(self) -> tuple[list[float], list[float]]:
        """Return mean and population standard deviation of each channel."""
        count = self.pixels
        variances = (square * count - total * total for total, square in zip(self.total, self.squares, strict=True))
        mean = [total / count for total in self.total]
        return mean, [math.sqrt(variance / count**2) for variance in variances]


def _added(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(one, other, strict=True))
