"""Noise: its deviation, and that levels stay within a byte."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.data.augmentations.noise import Settings, change
from pipeline.data.counter_random import row_keys

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
