"""Noise: its deviation, and that levels stay within a byte."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.augmentation.counter_random import normal, row_keys
from pipeline.augmentation.steps import noise
from pipeline.augmentation.steps.noise import Settings, change
from tests.data.given import images
from tests.ranges import assert_ranges

KEYS = row_keys([f"row {n}" for n in range(200)], 1)


def test_noise_has_the_stated_deviation():
    grey = np.full((200, 28, 28, 1), 128, np.uint8)

    noise = change(grey, KEYS, Settings(levels=6.0)).astype(float) - 128

    assert noise.std() == pytest.approx(6.0, rel=0.01)
    assert noise.mean() == pytest.approx(0.0, abs=0.05)


def test_levels_stay_within_a_byte():
    noisy = change(np.full((9, 5, 5, 1), 255, np.uint8), KEYS[:9], Settings(levels=6.0))

    assert noisy.max() == 255
    assert noisy.min() > 200


def test_no_noise_is_the_very_same_array():
    grey = np.full((200, 5, 5, 3), 128, np.uint8)

    assert change(grey, KEYS, Settings(levels=0.0)) is grey


def test_noise_is_the_stream_s_first_numbers_added_to_each_pixel_in_its_order():
    grey = images(9, (5, 4, 3))
    added = normal(KEYS[:9], 0, 60, 6.0).reshape(9, 5, 4, 3)

    assert np.array_equal(change(grey, KEYS[:9], Settings(levels=6.0)), np.clip(grey + added, 0, 255))


def test_noise_does_not_depend_on_how_many_images_are_changed_together(monkeypatch):
    grey = images(9, (5, 4, 3))
    together = change(grey, KEYS[:9], Settings(levels=6.0))
    monkeypatch.setattr(noise, "_BLOCK_BYTES", 130)

    assert np.array_equal(change(grey, KEYS[:9], Settings(levels=6.0)), together)
    monkeypatch.setattr(noise, "_BLOCK_BYTES", 1)
    assert np.array_equal(change(grey, KEYS[:9], Settings(levels=6.0)), together)


def test_black_stays_black_or_gets_lighter():
    noisy = change(np.zeros((9, 5, 5, 1), np.uint8), KEYS[:9], Settings(levels=6.0))

    assert noisy.min() == 0
    assert noisy.max() < 60


def test_the_levels_are_up_to_half_of_all():
    assert noise.KINDS == ("image",)
    assert_ranges(Settings, {}, levels=(0.0, 128.0, -1e-9, 128.1))
    with pytest.raises(ValidationError):
        Settings.model_validate({})
