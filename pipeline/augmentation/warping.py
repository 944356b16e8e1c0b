"""One affine bilinear warp of a batch: flip, scale, rotation and shift fused, each image with its own.

Everything per pixel is integer arithmetic on 16.16 fixed-point coordinates, so an image's result depends neither on its
batch nor on the machine's floating point, and a warp that moves nothing returns the very same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_ONE = 2**16  # fixed-point 1.0
_BLOCK_PIXELS = 32_768  # an image block and its scratch arrays stay in a core's second-level cache
_LANES = np.uint32(0x00FF00FF)


@dataclass(frozen=True)
class Affine:
    """Where each target pixel's value comes from, `[image] float64` each, about the image's centre, in pixels.

    source x = xx · x + xy · y + x0; source y = yx · x + yy · y + y0.
    """

    xx: npt.NDArray[np.float64]
    xy: npt.NDArray[np.float64]
    x0: npt.NDArray[np.float64]
    yx: npt.NDArray[np.float64]
    yy: npt.NDArray[np.float64]
    y0: npt.NDArray[np.float64]


def affine(
    is_flipped: npt.NDArray[np.bool_],
    scale: npt.NDArray[np.float64],
    angle_rad: npt.NDArray[np.float64],
    shift_x: npt.NDArray[np.float64],
    shift_y: npt.NDArray[np.float64],
) -> Affine:
    """Return the inverse of: flip left-right, enlarge by `scale`, rotate by `angle_rad`, shift (in pixels)."""
    cosine, sine = np.cos(angle_rad) / scale, np.sin(angle_rad) / scale
    sign = np.where(is_flipped, -1.0, 1.0)
    return Affine(
        xx=sign * cosine,
        xy=sign * sine,
        x0=-sign * (cosine * shift_x + sine * shift_y),
        yx=-sine,
        yy=cosine,
        y0=sine * shift_x - cosine * shift_y,
    )


def warp(pixels: npt.NDArray[np.uint8], moved: Affine, outside: int = 0) -> npt.NDArray[np.uint8]:
    """Warp `[image, height, width, channel] uint8`; what lies outside an image has one grey level, 0 to 255.

    Bilinear with weights of 1/256: at most one grey level from the exact value.
    """
    images, height, width, _ = pixels.shape
    warped = np.empty_like(pixels)
    block = max(1, _BLOCK_PIXELS // (height * width))
    for start in range(0, images, block):
        stop = min(start + block, images)
        corner, right, down = _coordinates(moved, start, stop, height, width)
        for channel in range(pixels.shape[3]):
            corners = _corners(pixels[start:stop, :, :, channel], outside)
            warped[start:stop, :, :, channel] = _blend(corners.take(corner), right, down)
    return warped


def _coordinates(
    moved: Affine, start: int, stop: int, height: int, width: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Return each target pixel's corner (an index into `_corners`) and its weights, 0 to 255, rightwards and down."""
    x = np.arange(width) - (width - 1) / 2
    y = np.arange(height) - (height - 1) / 2
    part = slice(start, stop)
    middle_x, middle_y = (width - 1) / 2 + 1, (height - 1) / 2 + 1  # one pixel of border before the image
    source_x = _sum_of_axes(moved.xx[part, None] * x + moved.x0[part, None] + middle_x, moved.xy[part, None] * y)
    source_y = _sum_of_axes(moved.yx[part, None] * x + moved.y0[part, None] + middle_y, moved.yy[part, None] * y)
    np.clip(source_x, 0, (width + 1) * _ONE, out=source_x)
    np.clip(source_y, 0, (height + 1) * _ONE, out=source_y)
    right = ((source_x >> 8) & 0xFF).view(np.uint32)
    down = ((source_y >> 8) & 0xFF).view(np.uint32)
    source_y >>= 16
    source_y *= width + 2
    source_x >>= 16
    source_y += source_x
    source_y += (np.arange(stop - start, dtype=np.int32) * np.int32((height + 2) * (width + 2)))[:, None, None]
    return source_y, right, down


def _sum_of_axes(along_x: npt.NDArray[np.float64], along_y: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """Return `[image, y, x]` fixed-point sums. Each axis is rounded by itself, before summing per pixel."""
    fixed_x = np.rint(along_x * _ONE).astype(np.int32)
    fixed_y = np.rint(along_y * _ONE).astype(np.int32)
    return fixed_x[:, None, :] + fixed_y[:, :, None]


def _corners(pixels: npt.NDArray[np.uint8], outside: int) -> npt.NDArray[np.uint32]:
    """Pack each pixel with its right, lower and lower right neighbour, so that one look-up fetches all four.

    From `[image, height, width]` to `[image, height + 2, width + 2] uint32` (flat), with `outside` around the image;
    the bytes from low to high: the pixel, right, below, below right.
    """
    images, height, width = pixels.shape
    padded = np.full((images, height + 3, width + 3), outside, np.uint32)
    padded[:, 1:-2, 1:-2] = pixels
    column = padded[:, :-1, :] | (padded[:, 1:, :] << np.uint32(16))
    packed: npt.NDArray[np.uint32] = column[:, :, :-1] | (column[:, :, 1:] << np.uint32(8))
    return packed.ravel()


def _blend(
    corners: npt.NDArray[np.uint32], right: npt.NDArray[np.uint32], down: npt.NDArray[np.uint32]
) -> npt.NDArray[np.uint32]:
    """Return the bilinear mean of four packed pixels, rounded.

    The upper and the lower pixel are blended from left to right together, in two 16-bit lanes of one 32-bit word:
    255 × 256 is below 2^16, so the lanes never overflow.
    """
    left_lanes = corners & _LANES
    corners >>= np.uint32(8)
    corners &= _LANES
    corners *= right
    left_lanes *= np.uint32(256) - right
    corners += left_lanes
    lower = corners >> np.uint32(16)
    corners &= np.uint32(0xFFFF)
    lower *= down
    corners *= np.uint32(256) - down
    corners += lower
    corners += np.uint32(2**15)
    corners >>= np.uint32(16)
    return corners
