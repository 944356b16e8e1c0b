"""Augmentation: what each change does, and that only seed, id and copy decide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.augmenting import augment_batch, erase_batch, noise_batch, warp_batch
from pipeline.data.counter_random import copy_keys, mix64, random_words, row_keys, uniform
from pipeline.data.warping import affine, warp
from pipeline.recipe.recipe import AugmentParams

NOTHING = {"copies": 1, "flip": 0.0, "shift": 0.0, "rotate_deg": 0.0, "scale": 0.0, "noise": 0.0, "erase": 0.0}
EVERYTHING = AugmentParams(copies=1, flip=0.5, shift=0.1, rotate_deg=20.0, scale=0.2, noise=5.0, erase=0.5)


def images(count: int, shape: tuple[int, int, int] = (9, 7, 1), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def keys(count: int, seed: int = 1, copy: int = 1) -> np.ndarray:
    return copy_keys(row_keys([f"row {n}" for n in range(count)], seed), copy)


def moved(
    pixels: np.ndarray, *, flip: bool = False, scale: float = 1, degrees: float = 0, x: float = 0, y: float = 0
) -> np.ndarray:
    one = np.ones(len(pixels))
    return warp(pixels, affine(one > 0 if flip else one < 0, one * scale, np.deg2rad(one * degrees), one * x, one * y))


def test_mix64_gives_the_published_numbers_of_splitmix64():
    # The first numbers of java.util.SplittableRandom and of S. Vigna's splitmix64.c for seed 1234567.
    assert random_words(np.array([1234567], np.uint64), 0, 3)[0].tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]
    assert mix64(np.zeros(1, np.uint64))[0] == 0


def test_uniform_numbers_are_even_and_uncorrelated_between_neighbouring_copies():
    one, other = (uniform(keys(20_000, copy=copy), 0, 1)[:, 0] for copy in (1, 2))

    assert np.histogram(one, 10, (0, 1))[0] == pytest.approx(2000, abs=200)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03


def test_parameters_that_change_nothing_give_identical_pixels():
    pixels = images(50, (9, 7, 3))

    assert np.array_equal(augment_batch(pixels, keys(50), AugmentParams(**NOTHING)), pixels)
    assert np.array_equal(moved(pixels), pixels)


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 7, 1), (6, 11, 3)])
def test_flip_mirrors_left_and_right(shape):
    pixels = images(5, shape)

    assert np.array_equal(warp_batch(pixels, keys(5), AugmentParams(**{**NOTHING, "flip": 1.0})), pixels[:, :, ::-1])


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


def test_noise_has_the_stated_deviation_and_stays_within_bytes():
    grey = np.full((200, 28, 28, 1), 128, np.uint8)
    params = AugmentParams(**{**NOTHING, "noise": 6.0})
    noise = noise_batch(grey, keys(200), params).astype(float) - 128

    assert noise.std() == pytest.approx(6.0, rel=0.01)
    assert noise.mean() == pytest.approx(0.0, abs=0.05)
    assert noise_batch(np.full((9, 5, 5, 1), 255, np.uint8), keys(9), params).max() == 255
    assert noise_batch(np.full((9, 5, 5, 1), 255, np.uint8), keys(9), params).min() > 200


def test_erase_covers_one_rectangle_of_one_level_within_the_stated_area():
    pixels = np.tile(np.arange(20 * 20, dtype=np.uint8).reshape(1, 20, 20, 1), (300, 1, 1, 1))
    params = AugmentParams(**{**NOTHING, "erase": 0.5, "erase_area": 0.2})

    erased = erase_batch(pixels, keys(300), params)

    changed = [np.argwhere(after[..., 0] != before[..., 0]) for before, after in zip(pixels, erased, strict=True)]
    assert sum(len(where) > 0 for where in changed) == pytest.approx(150, abs=35)
    for where, image in zip(changed, erased, strict=True):
        if len(where):
            (top, left), (bottom, right) = where.min(0), where.max(0) + 1
            assert len(np.unique(image[top:bottom, left:right])) == 1
            assert (bottom - top) * (right - left) <= 0.2 * 400 * 1.3  # sides are rounded


def test_the_input_is_left_alone():
    pixels = images(20)
    before = pixels.copy()
    augment_batch(pixels, keys(20), EVERYTHING)

    assert np.array_equal(pixels, before)


@given(st.permutations(range(12)), st.lists(st.integers(0, 12), max_size=4), st.integers(0, 3))
def test_a_copy_does_not_depend_on_batches_nor_on_the_order_of_rows(order, cuts, copy):
    pixels, all_keys = images(12), keys(12, copy=copy)
    whole = augment_batch(pixels, all_keys, EVERYTHING)

    batches = np.split(np.array(order), sorted(cuts))
    in_batches = [augment_batch(pixels[batch], all_keys[batch], EVERYTHING) for batch in batches]

    assert np.array_equal(np.concatenate(in_batches), whole[order])


def test_blocks_of_the_warp_and_the_noise_do_not_show():
    many = images(300, (28, 28, 1))  # several blocks of either
    whole = augment_batch(many, keys(300), EVERYTHING)

    assert np.array_equal(whole[250:251], augment_batch(many[250:251], keys(300)[250:251], EVERYTHING))


def test_seed_and_copy_and_id_each_change_the_result():
    pixels = np.repeat(images(1), 2, axis=0)
    first = augment_batch(pixels, keys(2), EVERYTHING)

    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first, augment_batch(pixels, keys(2, copy=2), EVERYTHING))
    assert not np.array_equal(first, augment_batch(pixels, keys(2, seed=2), EVERYTHING))
