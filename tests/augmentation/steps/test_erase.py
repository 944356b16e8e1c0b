"""Random erasing: one rectangle of one level, within the stated area."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.augmentation.counter_random import row_keys
from pipeline.augmentation.steps import erase
from pipeline.augmentation.steps.erase import Settings, change
from tests.ranges import assert_ranges

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


MANY = row_keys([f"row {n}" for n in range(4000)], 1)
WIDE = (24, 40)


def rectangles(settings: Settings) -> dict[str, np.ndarray]:
    """The erased rectangle of each of 4 000 wide images: its place, its sides, its level; and how many there are."""
    flat = np.full((len(MANY), *WIDE, 1), 255, np.uint8)
    erased = change(flat, MANY, settings)[..., 0]
    rows = (erased != 255).any(axis=2)
    columns = (erased != 255).any(axis=1)
    is_seen = rows.any(axis=1)
    rows, columns, erased = rows[is_seen], columns[is_seen], erased[is_seen]
    return {
        "top": rows.argmax(axis=1),
        "left": columns.argmax(axis=1),
        "height": rows.sum(axis=1),
        "width": columns.sum(axis=1),
        "level": erased.min(axis=(1, 2)),
        "seen": np.array([is_seen.mean()]),
    }


def test_areas_are_even_up_to_the_largest_and_aspects_between_one_half_and_two():
    found = rectangles(Settings(probability=1.0, area=0.25))
    area = found["height"] * found["width"] / (24 * 40)  # a little more than 0.25 if sides are rounded up
    aspect = np.log2(found["height"] / found["width"])

    assert np.histogram(area.clip(0, 0.25), 4, (0, 0.25))[0] == pytest.approx(1000, abs=150)
    is_large = area > 0.12  # where rounding the sides hardly matters
    assert np.histogram(aspect[is_large], 4, (-1.05, 1.05))[0] == pytest.approx(is_large.sum() / 4, rel=0.25)


def test_rectangles_lie_anywhere_and_have_any_level():
    found = rectangles(Settings(probability=1.0, area=0.25))

    for place, side, whole in (("top", "height", 24), ("left", "width", 40)):
        share = found[place] / np.maximum(whole - found[side], 1)
        assert share.min() == 0
        assert share.max() == 1
        assert share.mean() == pytest.approx(0.5, abs=0.03)
        assert (found[place] + found[side] <= whole).all()
    assert np.histogram(found["level"], 4, (0, 256))[0] == pytest.approx(1000, abs=150)
    assert found["level"].min() == 0
    assert found["level"].max() == 254  # 255 is what is erased from
    assert found["seen"][0] == pytest.approx(255 / 256, abs=0.005)


def test_no_property_of_a_rectangle_says_anything_of_another():
    found = rectangles(Settings(probability=1.0, area=0.05))
    independent = np.array([found[name] for name in ("top", "left", "level")], float)
    size = found["height"] * found["width"]

    assert np.abs(np.corrcoef(independent) - np.eye(3)).max() < 0.06
    assert abs(np.corrcoef(size, found["level"])[0, 1]) < 0.06
    assert abs(np.corrcoef(size, np.log(found["height"] / found["width"]))[0, 1]) < 0.1


@pytest.mark.parametrize(
    ("length", "position", "side", "first", "last"),
    [
        (0.0, 0.0, 5, 0, 0),
        (0.0, 0.999, 5, 4, 4),
        (2.4, 0.0, 5, 0, 1),
        (2.6, 0.999, 5, 2, 4),
        (9.0, 0.5, 5, 0, 4),
        (2.0, 0.26, 5, 1, 2),
        (1.0, 0.2, 5, 1, 1),
    ],
)
def test_a_span_is_rounded_within_its_side_and_lies_at_its_share_of_the_free_range(length, position, side, first, last):
    [within] = erase._spans(np.array([length]), np.array([position]), side)

    assert np.flatnonzero(within).tolist() == list(range(first, last + 1))


def test_a_rectangle_covers_all_channels_and_leaves_the_image_that_was_given():
    pixels = np.full((50, 20, 20, 3), 255, np.uint8)
    before = pixels.copy()
    erased = change(pixels, MANY[:50], Settings(probability=1.0, area=0.2))

    assert np.array_equal(pixels, before)
    assert (erased == erased[..., :1]).all()


def test_the_settings_and_their_ranges():
    assert erase.KINDS == ("image",)
    assert Settings(probability=0.3).area == 0.15
    assert_ranges(Settings, {}, probability=(0.0, 1.0, -1e-9, 1.001))
    assert_ranges(Settings, {"probability": 0.5}, area=(0.0, 0.999, -1e-9, 1.0))
    with pytest.raises(ValidationError):
        Settings.model_validate({"area": 0.1})
