"""The warp: what each of its settings does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.augmentation import warping
from pipeline.augmentation.counter_random import row_keys, uniform
from pipeline.augmentation.steps.warp import KINDS, Settings, change
from tests.data.given import images
from tests.ranges import assert_ranges

KEYS = row_keys([f"row {n}" for n in range(50)], 1)
MANY = row_keys([f"row {n}" for n in range(4000)], 1)
EVERYTHING = Settings(flip=0.5, shift=0.2, rotate_deg=30.0, scale=0.25)
WIDE = (10, 40, 1)


def moves(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """How each of 4 000 wide images is moved: flipped (−1 or 1), enlarged, turned (degrees) and shifted (pixels)."""
    found: list[Any] = []
    monkeypatch.setattr(warping, "warp", lambda values, moved, _: found.append(moved))
    change(np.zeros((len(MANY), *WIDE), np.uint8), MANY, settings)
    [moved] = found
    # What is moved to a place comes from there: the matrix and the offset are those of the inverse.
    flip = np.sign(moved.xx * moved.yy)
    back = np.array([[flip * moved.xx, flip * moved.xy], [moved.yx, moved.yy]]).transpose(2, 0, 1)
    shift = np.linalg.solve(back, -np.stack([flip * moved.x0, moved.y0], axis=1)[..., None])[..., 0]
    return {
        "flip": flip,
        "scale": 1 / np.hypot(moved.yx, moved.yy),
        "degrees": np.rad2deg(np.arctan2(-moved.yx, moved.yy)),
        "x": shift[:, 0],
        "y": shift[:, 1],
    }


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


@pytest.mark.parametrize(
    ("of", "least", "most"),
    [("degrees", -30, 30), ("x", -0.2 * 40, 0.2 * 40), ("y", -0.2 * 10, 0.2 * 10)],
)
def test_turns_in_degrees_and_shifts_in_parts_of_a_side_are_even_either_way(monkeypatch, of, least, most):
    found = moves(EVERYTHING, monkeypatch)[of]

    assert np.histogram(found, 4, (least, most))[0] == pytest.approx(1000, abs=150)


def test_images_are_as_often_smaller_as_larger_by_up_to_the_stated_factor(monkeypatch):
    found = moves(EVERYTHING, monkeypatch)["scale"]

    assert np.histogram(np.log(found) / np.log(1.25), 4, (-1, 1))[0] == pytest.approx(1000, abs=150)


def test_a_rare_flip_is_rare(monkeypatch):
    assert (moves(Settings(flip=0.1), monkeypatch)["flip"] < 0).mean() == pytest.approx(0.1, abs=0.02)


def test_no_move_says_anything_of_another(monkeypatch):
    found = np.array(list(moves(EVERYTHING, monkeypatch).values()))

    assert np.abs(np.corrcoef(found) - np.eye(5)).max() < 0.07


def test_what_is_switched_off_does_not_move(monkeypatch):
    found = moves(Settings(flip=1e-9), monkeypatch)

    for name, still in {"flip": 1, "scale": 1, "degrees": 0, "x": 0, "y": 0}.items():
        assert found[name] == pytest.approx(still), name


def test_the_settings_and_their_ranges():
    assert KINDS == ("image",)
    assert Settings().model_dump() == {"flip": 0.0, "shift": 0.0, "rotate_deg": 0.0, "scale": 0.0, "outside": 0}
    fraction = (0.0, 0.999, -1e-9, 1.0)
    assert_ranges(Settings, {}, flip=(0.0, 1.0, -1e-9, 1.001), shift=fraction, scale=fraction)
    assert_ranges(Settings, {}, rotate_deg=(0.0, 180.0, -1e-9, 180.1))
    assert_ranges(Settings, {}, outside=(0, 255, -1, 256))
    assert Settings(rotate_deg=0.5).rotate_deg == 0.5


@pytest.mark.parametrize("settings", [{"flip": 1.0}, {"shift": 0.2}, {"rotate_deg": 30.0}, {"scale": 0.3}])
def test_any_one_of_the_settings_is_enough_to_move(settings):
    pixels = images(50, (9, 7, 1))

    assert not np.array_equal(change(pixels, KEYS, Settings(**settings)), pixels)


def test_the_flip_is_decided_by_the_first_number_of_the_stream(monkeypatch):
    is_flipped = moves(Settings(flip=0.5), monkeypatch)["flip"] < 0

    assert np.array_equal(is_flipped, uniform(MANY, 0, 1)[:, 0] < 0.5)
