"""Resizing of whole batches: separable antialiased bilinear (triangle) resampling, as Pillow's BILINEAR does.

Weights are multiples of 2^-15, found by integer arithmetic, and summed as integers: down the columns numbers of at most
23 bits, which float32 adds without rounding, then along the rows of at most 38 bits, which float64 does. So the result
is exact: the same in any batch, in any order, on any machine. The served model resizes by the same arithmetic:
`models/resizing.py`.

How a picture of another aspect fits is one of three rules: `stretch` ignores the aspect; `crop` cuts the largest
rectangle of the target's aspect out of the centre; `pad` keeps the whole picture, centred on a grey level. Halves of a
pixel round up, and of an odd remainder the smaller half is above and to the left.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Rule = Literal["stretch", "crop", "pad"]
_UNIT = 2**15
_BLOCK_VALUES = 2 * 2**20


def resampling_weights(source: int, target: int) -> npt.NDArray[np.int64]:
    """Return the weights of the triangle filter in units of 2^-15, `[target, source]`; each row adds up to exactly 1.

    The filter is as wide as the step between target pixels when shrinking (so every source pixel counts) and one source
    pixel when enlarging. P. Heckbert, "Fundamentals of Texture Mapping and Image Warping", 1989, section 3.5.
    Lengths are counted in 1 / (2 × target) of a source pixel, so all of them are integers.
    """
    reach = max(source, target)
    centres = (2 * np.arange(target, dtype=np.int64)[:, None] + 1) * source
    distance = np.abs(centres - (2 * np.arange(source, dtype=np.int64)[None, :] + 1) * target)
    shares = np.maximum(0, 2 * reach - distance) * _UNIT
    sums = shares.sum(axis=1, keepdims=True) // _UNIT
    whole: npt.NDArray[np.int64] = shares // sums
    remainder = shares % sums
    for row, missing in enumerate((_UNIT - whole.sum(axis=1)).tolist()):
        largest = np.argsort(-remainder[row], kind="stable")[:missing]  # of equal ones, the first
        whole[row, largest] += 1  # largest remainder: a flat image stays unchanged
    return whole


@lru_cache(maxsize=256)
def _down(source: int, target: int) -> Any:
    """Return the weights without their zeros, float32, `[target, source]`."""
    from scipy.sparse import csr_array

    return csr_array(resampling_weights(source, target)).astype(np.float32)


@lru_cache(maxsize=256)
def _along(source: int, target: int, channels: int) -> Any:
    """Return the weights of rows whose channels lie side by side, float64, `[target × channel, source × channel]`."""
    from scipy.sparse import csr_array, eye_array, kron

    return csr_array(kron(_down(source, target).astype(np.float64), eye_array(channels)))


def resize(
    pixels: npt.NDArray[np.uint8], height: int, width: int, rule: Rule = "stretch", background: int = 255
) -> npt.NDArray[np.uint8]:
    """Resize `[image, height, width, channel] uint8`; images of that size already are returned unchanged.

    `background` is the grey level around padded images.
    """
    images, tall, wide, channels = pixels.shape
    if (tall, wide) == (height, width):
        return pixels
    if rule == "crop":
        top, left, tall, wide = crop_box(tall, wide, height, width)
        pixels = pixels[:, top : top + tall, left : left + wide]
    elif rule == "pad" and (inner := inner_size(tall, wide, height, width)) != (height, width):
        padded = np.full((images, height, width, channels), background, np.uint8)
        top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
        padded[:, top : top + inner[0], left : left + inner[1]] = resize(pixels, *inner)
        return padded
    return _stretched(pixels, height, width)


def crop_box(height: int, width: int, target_height: int, target_width: int) -> tuple[int, int, int, int]:
    """Return top, left, height and width of the largest centred rectangle of the target's aspect."""
    tall, wide = height, width
    if height * target_width > width * target_height:
        tall = max(1, (2 * width * target_height + target_width) // (2 * target_width))
    else:
        wide = max(1, (2 * height * target_width + target_height) // (2 * target_height))
    return (height - tall) // 2, (width - wide) // 2, tall, wide


def inner_size(height: int, width: int, target_height: int, target_width: int) -> tuple[int, int]:
    """Return the height and width to which an image is resized so that the whole of it fits into the target."""
    if height * target_width > width * target_height:
        return target_height, max(1, (2 * width * target_height + height) // (2 * height))
    return max(1, (2 * height * target_width + width) // (2 * width)), target_width


def _stretched(pixels: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    images, source_height, source_width, channels = pixels.shape
    if (source_height, source_width) == (height, width):
        return pixels
    down, along = _down(source_height, height), _along(source_width, width, channels)
    resized = np.empty((images, height, width, channels), np.uint8)
    for start in range(0, images, block := max(1, _BLOCK_VALUES // (source_height * source_width * channels))):
        part = pixels[start : start + block]
        count = len(part)
        columns = part.transpose(1, 0, 2, 3).reshape(source_height, count * source_width * channels)
        step = max(1, _BLOCK_VALUES // source_height)
        pieces = [down @ columns[:, at : at + step].astype(np.float32) for at in range(0, columns.shape[1], step)]
        shrunk = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)
        rows = shrunk.reshape(height, count, -1).transpose(2, 1, 0).astype(np.float64, order="C")
        exact = along @ rows.reshape(-1, count * height)
        exact /= _UNIT**2
        exact += 0.5
        rounded = exact.astype(np.uint8).reshape(width, channels, count, height)
        resized[start : start + block] = rounded.transpose(2, 3, 0, 1)
    return resized
