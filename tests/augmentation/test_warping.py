"""Flips, shifts, turns and scales: exact where they can be, within the rounding elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.augmentation import warping
from pipeline.augmentation.warping import Affine, affine, warp


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


def test_what_comes_in_from_outside_has_the_level_that_is_asked_for():
    pixels = images(3)
    one = np.ones(3)
    shifted = warp(pixels, affine(one < 0, one, one * 0, one * 2, one * 0), 200)
    assert np.array_equal(shifted[:, :, 2:], pixels[:, :, :-2])
    assert (shifted[:, :, :2] == 200).all()
    white = np.full_like(pixels, 255)
    assert (warp(white, affine(one > 0, one * 0.7, one * 0.3, one, one), 255) == 255).all()


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


def by_hand(pixels: np.ndarray, moved: Affine) -> np.ndarray:
    """The warp of one-channel images, pixel by pixel, in whole numbers as its docstrings say."""
    images, height, width, _ = pixels.shape
    warped = np.zeros_like(pixels)

    def level(image: int, row: int, column: int) -> int:
        is_inside = 0 <= row < height and 0 <= column < width
        return int(pixels[image, row, column, 0]) if is_inside else 0

    def fixed(along: float, across: float, most: int) -> int:
        return min(max(int(np.rint(along * 2**16)) + int(np.rint(across * 2**16)), 0), most * 2**16)

    for image in range(images):
        for row in range(height):
            for column in range(width):
                x, y = column - (width - 1) / 2, row - (height - 1) / 2
                along_x = moved.xx[image] * x + moved.x0[image] + (width - 1) / 2 + 1
                along_y = moved.yx[image] * x + moved.y0[image] + (height - 1) / 2 + 1
                source_x = fixed(along_x, moved.xy[image] * y, width + 1)
                source_y = fixed(along_y, moved.yy[image] * y, height + 1)
                left, top = (source_x >> 16) - 1, (source_y >> 16) - 1
                right, down = source_x >> 8 & 255, source_y >> 8 & 255
                upper = level(image, top, left) * (256 - right) + level(image, top, left + 1) * right
                lower = level(image, top + 1, left) * (256 - right) + level(image, top + 1, left + 1) * right
                warped[image, row, column, 0] = upper * (256 - down) + lower * down + 2**15 >> 16
    return warped


def any_move(images: int) -> Affine:
    """A different move of each image, some far out."""
    generator = np.random.default_rng(3)
    return affine(
        generator.random(images) < 0.5,
        2 ** generator.uniform(-1, 1, images),
        generator.uniform(-4, 4, images),
        generator.uniform(-6, 6, images),
        generator.uniform(-6, 6, images),
    )


@pytest.mark.parametrize("shape", [(9, 7, 1), (6, 11, 1), (1, 5, 1), (5, 1, 1)])
def test_every_pixel_is_the_one_that_is_worked_out_by_hand(shape):
    pixels, moved = images(12, shape), any_move(12)

    assert np.array_equal(warp(pixels, moved), by_hand(pixels, moved))


def test_white_stays_white_and_the_border_fades_to_black():
    white = np.full((40, 9, 7, 1), 255, np.uint8)
    moved = any_move(40)

    warped = warp(white, moved)
    assert np.array_equal(warped, by_hand(white, moved))
    assert warped.max() == 255
    assert warped.min() == 0


def test_each_channel_is_warped_as_an_image_of_its_own():
    pixels, moved = images(5, (9, 7, 3)), any_move(5)

    for channel in range(3):
        one = warp(np.ascontiguousarray(pixels[..., channel : channel + 1]), moved)
        assert np.array_equal(warp(pixels, moved)[..., channel : channel + 1], one)


@pytest.mark.parametrize("block_pixels", [1, 63, 64, 190, 10_000])
def test_an_image_s_warp_does_not_depend_on_its_batch(monkeypatch, block_pixels):
    pixels, moved = images(12), any_move(12)
    together = warp(pixels, moved)
    monkeypatch.setattr(warping, "_BLOCK_PIXELS", block_pixels)

    assert np.array_equal(warp(pixels, moved), together)


def test_the_moves_are_undone_in_turn():
    """Flip, enlarge, rotate, shift: a point that goes through them comes back to where it was."""
    generator = np.random.default_rng(5)
    is_flipped, scale, angle = (
        generator.random(50) < 0.5,
        2 ** generator.uniform(-1, 1, 50),
        generator.uniform(-3, 3, 50),
    )
    shift_x, shift_y, x, y = generator.uniform(-5, 5, (4, 50))
    flipped = np.where(is_flipped, -x, x) * scale
    enlarged = y * scale
    turned_x = np.cos(angle) * flipped - np.sin(angle) * enlarged + shift_x
    turned_y = np.sin(angle) * flipped + np.cos(angle) * enlarged + shift_y

    back = affine(is_flipped, scale, angle, shift_x, shift_y)

    assert back.xx * turned_x + back.xy * turned_y + back.x0 == pytest.approx(x)
    assert back.yx * turned_x + back.yy * turned_y + back.y0 == pytest.approx(y)
