"""The blur: against SciPy's Gaussian, and what it may not change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from pipeline.augmentation.counter_random import row_keys, uniform
from pipeline.augmentation.steps import blur
from pipeline.augmentation.steps.blur import Settings, change
from tests.data.given import images
from tests.ranges import assert_ranges

KEYS = row_keys([f"row {n}" for n in range(300)], 1)


@pytest.mark.parametrize("shape", [(28, 28, 1), (9, 14, 3)])
def test_each_image_is_within_one_level_of_the_gaussian_of_its_own_deviation(shape):
    pixels, settings = images(40, shape), Settings(probability=1.0, sigma=2.5)
    blurred = change(pixels, KEYS[:40], settings)

    for image, found, drawn in zip(pixels, blurred, uniform(KEYS[:40], 0, 2)[:, 1], strict=True):
        sigma = (1 - drawn) * 2.5
        exact = gaussian_filter(image.astype(float), (sigma, sigma, 0), mode="nearest", radius=(8, 8, 0))
        assert np.abs(found - exact).max() <= 1.0


@given(st.integers(0, 255), st.floats(0.01, 16.0))
def test_an_image_of_one_level_stays_as_it_is(level, sigma):
    flat = np.full((20, 9, 7, 3), level, np.uint8)

    assert np.array_equal(change(flat, KEYS[:20], Settings(probability=1.0, sigma=sigma)), flat)


def test_a_deviation_far_below_a_pixel_changes_nothing():
    pixels = images(20)

    assert np.array_equal(change(pixels, KEYS[:20], Settings(probability=1.0, sigma=0.05)), pixels)


def test_images_are_blurred_with_the_stated_probability_and_the_given_ones_left_alone():
    pixels = images(300)
    before = pixels.copy()
    blurred = change(pixels, KEYS, Settings(probability=0.4, sigma=3.0))

    assert (blurred != pixels).any(axis=(1, 2, 3)).mean() == pytest.approx(0.4, abs=0.08)
    assert np.array_equal(pixels, before)


def test_a_blur_does_not_depend_on_how_many_images_are_changed_together(monkeypatch):
    pixels, settings = images(20), Settings(probability=0.7, sigma=2.0)
    together = change(pixels, KEYS[:20], settings)
    monkeypatch.setattr(blur, "_BLOCK_VALUES", 1)

    assert np.array_equal(change(pixels, KEYS[:20], settings), together)


@pytest.mark.parametrize("settings", [{"probability": 0.0, "sigma": 1.0}, {"sigma": 0.0}])
def test_no_blur_is_the_very_same_array(settings):
    pixels = images(20)

    assert change(pixels, KEYS[:20], Settings(**settings)) is pixels


@given(st.lists(st.floats(1e-3, 16.0), min_size=1, max_size=9))
def test_the_weights_of_both_sides_add_up_to_one(deviations):
    weights = blur._weights(np.array(deviations), 48).astype(int)

    assert (weights[:, 0] + 2 * weights[:, 1:].sum(axis=1) == 2**15).all()
    assert (np.diff(weights[:, 1:], axis=1) <= 0).all()
    assert (weights[:, 0] + 48 >= weights[:, 1]).all()  # the first takes what rounding leaves of the others


def test_the_settings_and_their_ranges():
    assert blur.KINDS == ("image",)
    assert Settings().model_dump() == {"probability": 0.5, "sigma": 1.0}
    assert_ranges(Settings, {"sigma": 1.0}, probability=(0.0, 1.0, -1e-9, 1.001))
    assert_ranges(Settings, {}, sigma=(0.0, 16.0, -1e-9, 16.1))
