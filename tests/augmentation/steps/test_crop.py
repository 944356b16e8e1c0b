"""The crop: how large a part is, where it lies, and that nothing comes from outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.augmentation.counter_random import row_keys
from pipeline.augmentation.steps.crop import KINDS, Settings, change
from tests.data.given import images
from tests.ranges import assert_ranges

MANY = row_keys([f"row {n}" for n in range(2000)], 1)


def parts(settings: Settings, side: int = 101) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The left, the width, the top and the height (pixels) of what is kept of each of 2 000 images."""
    ramp = np.arange(side, dtype=np.uint8)
    across = np.broadcast_to(ramp[None, None, :, None], (len(MANY), 3, side, 1))
    down = np.broadcast_to(ramp[None, :, None, None], (len(MANY), side, 3, 1))
    x, y = (change(np.ascontiguousarray(each), MANY, settings) for each in (across, down))
    left, right = x[:, 1, 0, 0].astype(int), x[:, 1, -1, 0].astype(int)
    top, bottom = y[:, 0, 1, 0].astype(int), y[:, -1, 1, 0].astype(int)
    return left, right - left, top, bottom - top


def test_areas_are_even_from_the_smallest_to_the_whole_and_lie_anywhere():
    left, width, top, height = parts(Settings(area=0.2, aspect=1.0))

    assert np.histogram(width * height / 100**2, 4, (0.2, 1.0))[0] == pytest.approx(500, abs=90)
    assert width == pytest.approx(height, abs=1)
    for place, length in ((left, width), (top, height)):
        is_free = length < 90
        share = place[is_free] / (100 - length[is_free])
        assert np.histogram(share, 4, (0, 1.0001))[0] == pytest.approx(is_free.sum() / 4, rel=0.2)
    assert abs(np.corrcoef(left / np.maximum(100 - width, 1), top / np.maximum(100 - height, 1))[0, 1]) < 0.1


def test_aspects_are_log_uniform_up_to_the_largest():
    _, width, _, height = parts(Settings(area=0.3, aspect=1.5))
    area = width * height / 100**2
    is_small = area < 0.6  # where no side is cut off
    found = np.log(width[is_small] / height[is_small]) / np.log(1.5)

    assert np.histogram(found, 4, (-1.05, 1.05))[0] == pytest.approx(is_small.sum() / 4, rel=0.25)


@given(st.sampled_from([(9, 7, 1), (8, 12, 3)]), st.floats(0.01, 1.0), st.floats(1.0, 4.0))
def test_nothing_comes_from_outside_the_image(shape, area, aspect):
    bright = np.full((50, *shape), 217, np.uint8)

    assert (change(bright, MANY[:50], Settings(area=area, aspect=aspect)) == 217).all()


def test_a_crop_of_the_whole_width_keeps_each_column():
    columns = np.broadcast_to(images(1, (1, 30, 1)), (50, 30, 30, 1))

    cut = change(np.ascontiguousarray(columns), MANY[:50], Settings(area=1.0, aspect=4.0))
    is_wide = (cut == columns).all(axis=(1, 2, 3))
    assert 10 < is_wide.sum() < 40  # those that are cut above and below


@pytest.mark.parametrize("settings", [{"area": 1.0, "aspect": 1.0}, {"area": 0.5, "probability": 0.0}])
def test_nothing_to_cut_is_the_very_same_array(settings):
    pixels = images(50)

    assert change(pixels, MANY[:50], Settings(**settings)) is pixels


def test_images_are_cut_with_the_stated_probability_and_the_given_ones_left_alone():
    pixels = images(2000)
    before = pixels.copy()
    cut = change(pixels, MANY, Settings(probability=0.3, area=0.3))

    assert (cut != pixels).any(axis=(1, 2, 3)).mean() == pytest.approx(0.3, abs=0.04)
    assert np.array_equal(pixels, before)


def test_the_settings_and_their_ranges():
    assert KINDS == ("image",)
    assert Settings().model_dump() == {"probability": 1.0, "area": 0.5, "aspect": 4 / 3}
    assert_ranges(Settings, {}, area=(1e-9, 1.0, 0.0, 1.001))
    assert_ranges(Settings, {"area": 0.5}, probability=(0.0, 1.0, -1e-9, 1.001), aspect=(1.0, 4.0, 0.999, 4.01))
