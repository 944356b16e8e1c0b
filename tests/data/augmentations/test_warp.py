"""The warp: what each of its settings does."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.data.augmentations.warp import Settings, change
from pipeline.data.counter_random import row_keys
from tests.data.given import images

KEYS = row_keys([f"row {n}" for n in range(50)], 1)


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 7, 1), (6, 11, 3)])
def test_flip_mirrors_left_and_right(shape):
    pixels = images(50, shape)

    assert np.array_equal(change(pixels, KEYS, Settings(flip=1.0)), pixels[:, :, ::-1])


def test_a_flip_of_one_half_flips_about_half_of_the_images():
    pixels = images(50)

    is_flipped = (change(pixels, KEYS, Settings(flip=0.5)) != pixels).any(axis=(1, 2, 3))

    assert 15 < is_flipped.sum() < 35


@pytest.mark.parametrize("settings", [{"shift": 0.2}, {"rotate_deg": 30.0}, {"scale": 0.3}])
def test_every_other_change_moves_what_is_in_the_middle(settings):
    pixels = np.zeros((50, 15, 15, 1), np.uint8)
    pixels[:, 4:8, 4:12] = 255

    assert (change(pixels, KEYS, Settings(**settings)) != pixels).any(axis=(1, 2, 3)).mean() > 0.8


def test_no_change_is_the_very_same_array():
    pixels = images(50)

    assert change(pixels, KEYS, Settings()) is pixels
