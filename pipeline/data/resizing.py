"""Resizing of whole batches: separable antialiased bilinear (triangle) resampling, as Pillow's BILINEAR does.

Weights are multiples of 2^-15, found by integer arithmetic. A pixel is then a sum of numbers of at most 38 bits, which
float64 adds without rounding, so the result is exact: the same in any batch, on any machine, with any BLAS. The served
model resizes by the same arithmetic: `models/preprocessing/image.py`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

_UNIT = 2**15
_BLOCK_BYTES = 8 * 2**20


@lru_cache(maxsize=16)
def resampling_weights(source: int, target: int) -> npt.NDArray[np.float64]:
    """Return the weights of the triangle filter, `[target, source] float64`; each row adds up to exactly 1.

    The filter is as wide as the step between target pixels when shrinking (so every source pixel counts) and one source
    pixel when enlarging. P. Heckbert, "Fundamentals of Texture Mapping and Image Warping", 1989, section 3.5.
    Lengths are counted in 1 / (2 × target) of a source pixel, so all of them are integers.
    """
    reach = max(source, target)
    centres = (2 * np.arange(target, dtype=np.int64)[:, None] + 1) * source
    distance = np.abs(centres - (2 * np.arange(source, dtype=np.int64)[None, :] + 1) * target)
    shares = np.maximum(0, 2 * reach - distance) * _UNIT
    sums = shares.sum(axis=1, keepdims=True) // _UNIT
    whole, remainder = np.divmod(shares, sums)
    for row, missing in enumerate((_UNIT - whole.sum(axis=1)).tolist()):
        largest = np.argsort(-remainder[row], kind="stable")[:missing]  # of equal ones, the first
        whole[row, largest] += 1  # largest remainder: a flat image stays unchanged
    exact: npt.NDArray[np.float64] = whole / _UNIT
    exact.flags.writeable = False
    return exact


def resize(pixels: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """Resize `[image, height, width, channel] uint8`; images of that size already are returned unchanged."""
    images, source_height, source_width, channels = pixels.shape
    if (source_height, source_width) == (height, width):
        return pixels
    rows = resampling_weights(source_height, height)
    columns = resampling_weights(source_width, width)
    resized = np.empty((images, height, width, channels), np.uint8)
    block = max(1, _BLOCK_BYTES // (8 * max(source_height, height) * max(source_width, width) * channels))
    for start in range(0, images, block):
        part = pixels[start : start + block].astype(np.float64).transpose(0, 3, 1, 2)
        exact = rows @ part @ columns.T
        resized[start : start + block] = np.floor(exact + 0.5).transpose(0, 2, 3, 1)
    return resized
