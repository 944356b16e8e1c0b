"""Random erasing: one rectangle of one level, within the stated area."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.data.augmentations.erase import Settings, change
from pipeline.data.counter_random import row_keys

KEYS = row_keys([f"row {n}" for n in range(300)], 1)
PIXELS = np.tile(np.arange(20 * 20, dtype=np.uint8).reshape(1, 20, 20, 1), (300, 1, 1, 1))


def test_one_rectangle_of_one_level_is_covered_within_the_stated_area():
    erased = change(PIXELS, KEYS, Settings(probability=0.5, area=0.2))

    changed = [np.argwhere(after[..., 0] != before[..., 0]) for before, after in zip(PIXELS, erased, strict=True)]
    assert sum(len(where) > 0 for where in changed) == pytest.approx(150, abs=35)
    for where, image in zip(changed, erased, strict=True):
        if len(where):
            (top, left), (bottom, right) = where.min(0), where.max(0) + 1
            assert len(np.unique(image[top:bottom, left:right])) == 1
            assert (bottom - top) * (right - left) <= 0.2 * 400 * 1.3  # sides are rounded


@pytest.mark.parametrize("settings", [{"probability": 0.0}, {"probability": 1.0, "area": 0.0}])
def test_nothing_to_erase_is_the_very_same_array(settings):
    assert change(PIXELS, KEYS, Settings(**settings)) is PIXELS
