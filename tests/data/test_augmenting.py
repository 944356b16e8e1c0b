"""Augmentation: what each change does, and that only seed, id and copy decide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.augmenting import augment_batch, erase_batch, noise_batch, warp_batch
from pipeline.data.counter_random import copy_keys, row_keys
from pipeline.recipe.recipe import AugmentParams

NOTHING = {"copies": 1, "flip": 0.0, "shift": 0.0, "rotate_deg": 0.0, "scale": 0.0, "noise": 0.0, "erase": 0.0}
EVERYTHING = AugmentParams(copies=1, flip=0.5, shift=0.1, rotate_deg=20.0, scale=0.2, noise=5.0, erase=0.5)


def images(count: int, shape: tuple[int, int, int] = (9, 7, 1), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def keys(count: int, seed: int = 1, copy: int = 1) -> np.ndarray:
    return copy_keys(row_keys([f"row {n}" for n in range(count)], seed), copy)


def test_parameters_that_change_nothing_give_identical_pixels():
    pixels = images(50, (9, 7, 3))

    assert np.array_equal(augment_batch(pixels, keys(50), AugmentParams(**NOTHING)), pixels)


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 7, 1), (6, 11, 3)])
def test_flip_mirrors_left_and_right(shape):
    pixels = images(5, shape)

    assert np.array_equal(warp_batch(pixels, keys(5), AugmentParams(**{**NOTHING, "flip": 1.0})), pixels[:, :, ::-1])


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
