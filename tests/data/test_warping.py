"""Flips, shifts, turns and scales: exact where they can be, within the rounding elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.data.warping import affine, warp


def images(count: int, shape: tuple[int, int, int] = (9, 7, 1), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def moved(
    pixels: np.ndarray, *, flip: bool = False, scale: float = 1, degrees: float = 0, x: float = 0, y: float = 0
) -> np.ndarray:
    one = np.ones(len(pixels))
    return warp(pixels, affine(one > 0 if flip else one < 0, one * scale, np.deg2rad(one * degrees), one * x, one * y))


def test_no_move_gives_identical_pixels():
    pixels = images(50, (9, 7, 3))

    assert np.array_equal(moved(pixels), pixels)


def test_a_shift_by_whole_pixels_moves_and_fills_with_black():
    pixels = images(3)

    shifted = moved(pixels, x=2, y=-1)

    assert np.array_equal(shifted[:, :-1, 2:], pixels[:, 1:, :-2])
    assert not shifted[:, -1].any()
    assert not shifted[:, :, :2].any()


def test_a_shift_by_half_a_pixel_takes_the_mean_of_neighbours():
    pixels = images(3)
    exact = (pixels[:, :, :-1].astype(float) + pixels[:, :, 1:]) / 2

    assert np.abs(moved(pixels, x=0.5)[:, :, 1:] - exact).max() <= 0.5


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_of_a_square_are_exact(turns):
    pixels = images(4, (8, 8, 1))

    assert np.array_equal(moved(pixels, degrees=90 * turns), np.rot90(pixels, -turns, (1, 2)))


def test_scale_enlarges_about_the_centre():
    pixels = np.zeros((1, 21, 21, 1), np.uint8)
    pixels[0, 7:14, 7:14] = 200

    assert (moved(pixels, scale=2) > 100).sum() == pytest.approx(4 * 49, rel=0.15)
    assert (moved(pixels, scale=0.5) > 100).sum() == pytest.approx(49 / 4, rel=0.4)


def test_the_warp_is_within_a_grey_level_of_floating_point():
    pixels = images(6, (12, 10, 1))
    degrees, scale, x, y = 17.0, 1.13, 0.7, -1.3
    turn = np.deg2rad(degrees)
    rows, columns = np.mgrid[0:12, 0:10]
    across, along = columns - 4.5 - x, rows - 5.5 - y
    source_x = (np.cos(turn) * across + np.sin(turn) * along) / scale + 4.5 + 1
    source_y = (-np.sin(turn) * across + np.cos(turn) * along) / scale + 5.5 + 1
    padded = np.pad(pixels[..., 0].astype(float), ((0, 0), (1, 9), (1, 9)))
    source_x, source_y = np.clip(source_x, 0, 11), np.clip(source_y, 0, 13)
    left, top = source_x.astype(int), source_y.astype(int)
    right, down = source_x - left, source_y - top
    upper = padded[:, top, left] * (1 - right) + padded[:, top, left + 1] * right
    lower = padded[:, top + 1, left] * (1 - right) + padded[:, top + 1, left + 1] * right

    warped = moved(pixels, degrees=degrees, scale=scale, x=x, y=y)[..., 0]

    # Weights of 1/256 are off by up to 1/256 along each axis, of a difference of up to 255; then comes the rounding.
    assert np.abs(warped - (upper * (1 - down) + lower * down)).max() <= 2.5
