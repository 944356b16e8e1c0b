"""Perceptual hashes: 64 bits of what a picture looks like, of which few change when it is scaled, recoded, brightened.

The hash is pHash as ImageHash computes it (C. Zauner, Implementation and Benchmarking of Perceptual Image Hash
Functions, 2010, section 3.2.1): of the picture in grey at 32 × 32, the 8 × 8 lowest frequencies of the cosine
transform, each a bit that says whether it is above their median. What two pictures look like at 32 × 32 is compared by
`likeness`, because the hash alone does not show it: of an almost flat picture its bits are those of noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SIDE = 32  # pixels of a thumbnail
BITS = 64
_LOW = 8  # frequencies in each direction
_DECIMALS = 6  # far above what is rounded, so that equal frequencies are equal on every machine
# How far pictures are shifted to be compared, down and right. The hash of a picture of few pixels changes by many bits
# when it is shifted by one of them.
SHIFTS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))
_LEAST_CONTRAST = 4.0  # grey levels, standard deviation: what is flatter has nothing to be held against

Pixels = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]


def thumbnails(pixels: Pixels, shift: tuple[int, int] = (0, 0)) -> Pixels:
    """Return pictures `[row, height, width, channel] uint8`, grey or colour, in grey at 32 × 32: `[row, 32, 32]`.

    `shift` says by how many 32nds of its sides, rounded up to a pixel, each is shifted down and right before that, its
    edges repeated.
    """
    from PIL import Image

    small = np.empty((len(pixels), SIDE, SIDE), np.uint8)
    for row, each in enumerate(_shifted(pixels, shift)):
        picture = Image.fromarray(each[:, :, 0] if each.shape[2] == 1 else each).convert("L")
        small[row] = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    return small


def _shifted(pixels: Pixels, shift: tuple[int, int]) -> Pixels:
    if shift == (0, 0):
        return pixels
    rows, columns = (
        np.clip(np.arange(side) - by * -(-side // SIDE), 0, side - 1)
        for side, by in zip(pixels.shape[1:3], shift, strict=True)
    )
    return pixels[:, rows[:, None], columns[None, :]]


def perceptual_hashes(small: Pixels) -> Hashes:
    """Return the hash of each thumbnail `[row, 32, 32]`, `[row] uint64`; its highest bit is the lowest frequency."""
    waves = np.round(_WAVES @ small.astype(np.float64) @ _WAVES.T, _DECIMALS).reshape(-1, BITS)
    bits = waves > np.median(waves, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)


def likeness(one: Pixels, other: Pixels) -> npt.NDArray[np.float64]:
    """Return how alike two thumbnails are, `[pair]`, of `[pair, 32, 32]` each: 1 the same, 0 nothing in common.

    It is the correlation of their grey levels, so brightness and contrast make no difference; all sums are of integers,
    so exact. A picture that is almost flat is like no other.
    """
    pixels = SIDE * SIDE
    first, second = (small.reshape(len(small), pixels).astype(np.int32) for small in (one, other))
    sums = [flat.sum(axis=1, dtype=np.int64) for flat in (first, second)]

    def covariance(left: int, right: int) -> npt.NDArray[np.float64]:
        both = (first, second)
        products: npt.NDArray[np.int64] = np.einsum("ip,ip->i", both[left], both[right]).astype(np.int64)
        scaled: npt.NDArray[np.int64] = pixels * products - sums[left] * sums[right]
        return scaled.astype(np.float64)

    together, of_first, of_second = covariance(0, 1), covariance(0, 0), covariance(1, 1)
    is_flat = np.minimum(of_first, of_second) < (_LEAST_CONTRAST * pixels) ** 2
    scale = np.sqrt(np.where(is_flat, 1.0, of_first * of_second))
    return np.where(is_flat, 0.0, np.maximum(together / scale, 0.0))


def _cosines() -> npt.NDArray[np.float64]:
    """Return the lowest frequencies of the cosine transform of type II, not normalised, `[frequency, pixel]`."""
    frequency, pixel = np.arange(_LOW)[:, None], np.arange(SIDE)
    waves: Any = 2 * np.cos(np.pi * frequency * (2 * pixel + 1) / (2 * SIDE))
    return np.asarray(waves, np.float64)


_WAVES = _cosines()
