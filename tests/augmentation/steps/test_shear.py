"""The shear: what leans, how far, and that the middle stays."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.augmentation.counter_random import row_keys, uniform
from pipeline.augmentation.steps.shear import KINDS, Settings, change
from tests.data.given import images
from tests.ranges import assert_ranges

KEYS = row_keys([f"row {n}" for n in range(400)], 1)


def lines(*, upright: bool) -> np.ndarray:
    """Images of 41 × 41 with one line through the middle."""
    pixels = np.zeros((len(KEYS), 41, 41, 1), np.uint8)
    pixels[(slice(None), slice(None), slice(19, 22)) if upright else (slice(None), slice(19, 22))] = 255
    return pixels


def leaning(sheared: np.ndarray) -> np.ndarray:
    """How far an upright line is further right in row 30 than in row 10, pixels."""
    middle = (sheared[..., 0] * np.arange(41.0)).sum(axis=2) / sheared[..., 0].sum(axis=2)
    return middle[:, 30] - middle[:, 10]


def test_columns_lean_by_an_angle_that_is_even_either_way():
    found = np.rad2deg(np.arctan(leaning(change(lines(upright=True), KEYS, Settings(x_deg=20.0))) / 20))

    assert found == pytest.approx(-20 * (2 * uniform(KEYS, 0, 2)[:, 0] - 1), abs=0.5)
    assert np.histogram(found, 4, (-20, 20))[0] == pytest.approx(100, abs=35)


def test_rows_climb_by_an_angle_of_their_own():
    climbing = leaning(change(lines(upright=False), KEYS, Settings(y_deg=20.0)).swapaxes(1, 2))

    assert np.rad2deg(np.arctan(climbing / 20)) == pytest.approx(-20 * (2 * uniform(KEYS, 0, 2)[:, 1] - 1), abs=0.5)


def test_what_one_axis_does_leaves_the_lines_of_the_other_where_they_are():
    flat, upright = lines(upright=False), lines(upright=True)

    assert np.array_equal(change(flat, KEYS, Settings(x_deg=20.0))[:, 15:25, 15:25], flat[:, 15:25, 15:25])
    assert np.array_equal(change(upright, KEYS, Settings(y_deg=20.0))[:, 15:25, 15:25], upright[:, 15:25, 15:25])


def test_the_middle_stays_where_it_is():
    pixels = np.zeros((len(KEYS), 41, 41, 3), np.uint8)
    pixels[:, 20, 20] = 200

    assert (change(pixels, KEYS, Settings(x_deg=40.0, y_deg=40.0))[:, 20, 20] == 200).all()


def test_no_shear_is_the_very_same_array():
    pixels = images(400)

    assert change(pixels, KEYS, Settings()) is pixels


def test_the_settings_and_their_ranges():
    assert KINDS == ("image",)
    assert Settings().model_dump() == {"x_deg": 0.0, "y_deg": 0.0, "outside": 0}
    assert_ranges(Settings, {}, outside=(0, 255, -1, 256))
    assert_ranges(Settings, {}, x_deg=(0.0, 60.0, -1e-9, 60.1), y_deg=(0.0, 60.0, -1e-9, 60.1))


def test_what_comes_in_from_beside_has_the_level_that_is_set():
    white = np.full((20, 9, 9, 1), 255, np.uint8)
    assert (change(white, np.arange(20, dtype=np.uint64), Settings(x_deg=40, outside=255)) == 255).all()
    assert (change(white, np.arange(20, dtype=np.uint64), Settings(x_deg=40)) < 255).any()
