"""Brightness, contrast, saturation and hue: each against its formula, and what each leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.augmentation.counter_random import row_keys, uniform
from pipeline.augmentation.steps import colour
from pipeline.augmentation.steps.colour import Settings, change
from pipeline.errors import UsageError
from pipeline.recipe.changing import apply_overrides
from pipeline.recipe.resolving import checked
from pipeline.recipe.strict_yaml import parse_yaml
from tests.data.given import images
from tests.ranges import assert_ranges
from tests.recipe.conftest import ROOT

KEYS = row_keys([f"row {n}" for n in range(300)], 1)
AMOUNTS = 2 * uniform(KEYS, 0, 4) - 1
EVERYTHING = Settings(brightness=0.3, contrast=0.4, saturation=0.5, hue_deg=40.0)
LUMA = np.array([0.299, 0.587, 0.114])


def amount(of: int) -> np.ndarray:
    return AMOUNTS[:, of, None, None, None]


def bytes_of(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_brightness_multiplies_all_levels(channels):
    pixels = images(300, (9, 7, channels))

    found = change(pixels, KEYS, Settings(brightness=0.3))
    assert np.abs(found.astype(int) - bytes_of(pixels * (1 + 0.3 * amount(0)))).max() <= 1


def test_contrast_multiplies_the_distance_to_the_image_s_mean_and_brightness_follows():
    pixels = images(300, (9, 7, 3))
    mean = pixels.mean(axis=(1, 2, 3), keepdims=True)
    farther = mean + (1 + 0.4 * amount(1)) * (pixels - mean)

    assert np.array_equal(change(pixels, KEYS, Settings(contrast=0.4)), bytes_of(farther))
    both = change(pixels, KEYS, Settings(brightness=0.3, contrast=0.4))
    assert np.abs(both.astype(int) - bytes_of((1 + 0.3 * amount(0)) * farther)).max() <= 1


def test_saturation_multiplies_the_distance_to_the_grey_of_the_same_luma():
    pixels = images(300, (9, 7, 3))
    grey = (pixels @ LUMA)[..., None]

    found = change(pixels, KEYS, Settings(saturation=0.5)).astype(int)
    assert np.abs(found - bytes_of(grey + (1 + 0.5 * amount(2)) * (pixels - grey))).max() <= 1


def test_hue_turns_about_the_axis_of_greys_by_its_angle():
    pixels = images(300, (9, 7, 3)) // 4 + 96  # so that nothing is clipped
    turned = change(pixels, KEYS, Settings(hue_deg=60.0)).astype(float)

    def chroma(colours: np.ndarray) -> np.ndarray:
        """As a complex number: its angle is the hue, its length the colourfulness."""
        red, green, blue = np.moveaxis(colours.astype(float), -1, 0)
        return red + green * np.exp(2j * np.pi / 3) + blue * np.exp(-2j * np.pi / 3)

    expected = chroma(pixels) * np.exp(1j * np.deg2rad(60.0) * AMOUNTS[:, 3, None, None])
    assert np.abs(chroma(turned) - expected).max() < 2.5  # three levels are rounded
    assert np.abs(turned.sum(axis=-1) - pixels.sum(axis=-1, dtype=int)).max() <= 2


@given(st.integers(0, 255), st.floats(0, 0.99), st.floats(0, 180))
def test_grey_stays_the_very_same_grey_whatever_happens_to_colours(level, saturation, hue_deg):
    grey = np.full((300, 2, 2, 3), level, np.uint8)

    assert np.array_equal(change(grey, KEYS, Settings(saturation=saturation, hue_deg=hue_deg)), grey)


def test_amounts_are_even_either_way_and_say_nothing_of_each_other():
    for of in range(4):
        assert np.histogram(AMOUNTS[:, of], 3, (-1, 1))[0] == pytest.approx(100, abs=30)
    assert np.abs(np.corrcoef(AMOUNTS.T) - np.eye(4)).max() < 0.15


def test_of_grey_images_saturation_and_hue_change_nothing():
    pixels = images(300)

    assert change(pixels, KEYS, Settings(saturation=0.5, hue_deg=40.0)) is pixels


def test_no_change_is_the_very_same_array_and_given_ones_are_left_alone():
    pixels = images(300, (9, 7, 3))
    before = pixels.copy()

    assert change(pixels, KEYS, Settings()) is pixels
    change(pixels, KEYS, EVERYTHING)
    assert np.array_equal(pixels, before)


def test_colours_do_not_depend_on_how_many_images_are_changed_together(monkeypatch):
    pixels = images(300, (9, 7, 3))
    together = change(pixels, KEYS, EVERYTHING)
    monkeypatch.setattr(colour, "_BLOCK_VALUES", 1)

    assert np.array_equal(change(pixels, KEYS, EVERYTHING), together)


@pytest.mark.parametrize("settings", [{"saturation": 0.1}, {"hue_deg": 5.0}])
def test_saturation_and_hue_without_a_colour_image_are_refused(settings: dict[str, Any]):
    values = parse_yaml(ROOT / "params.yaml")
    asked = {"augment.steps": [{"name": "colour", "settings": settings}]}
    with pytest.raises(UsageError, match=r"^x: augment\.steps\.0: saturation and hue_deg .*: no image .*3 ch"):
        checked(apply_overrides(values, asked, "x"), "x")
    checked(apply_overrides(values, {**asked, "data.features.image.settings.channels": 3}, "x"), "x")


def test_the_settings_and_their_ranges():
    assert colour.KINDS == ("image",)
    assert Settings().model_dump() == dict.fromkeys(("brightness", "contrast", "saturation", "hue_deg"), 0.0)
    fraction = (0.0, 0.999, -1e-9, 1.0)
    assert_ranges(Settings, {}, brightness=fraction, contrast=fraction, saturation=fraction)
    assert_ranges(Settings, {}, hue_deg=(0.0, 180.0, -1e-9, 180.1))
