"""Mixup and CutMix: which row is laid over which, how much of it, and that the share says so exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import beta, kstest

from pipeline.augmentation.counter_random import row_keys
from pipeline.augmentation.steps import overlay
from pipeline.augmentation.steps.overlay import Settings, change, partners, share_quantiles
from tests.data.given import images
from tests.ranges import assert_ranges

MANY = row_keys([f"row {n}" for n in range(4000)], 1)
BLEND, CUT = Settings(mixup=1.0), Settings(cutmix=1.0)


def black_and_white(settings: Settings, shape: tuple[int, int, int] = (20, 30, 1)) -> tuple[np.ndarray, np.ndarray]:
    """White images with black ones laid over them, as shares of white, and the stated shares."""
    white = np.full((len(MANY), *shape), 255, np.uint8)
    laid, shares = change(white, MANY, settings, np.zeros_like(white))
    return laid[..., 0] / 255, shares


@given(st.integers(1, 10_000), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_partner_is_any_of_the_rows_for_the_stated_part_of_them(rows, mixup, cutmix):
    found = partners(MANY, Settings(mixup=mixup, cutmix=cutmix), rows)

    assert ((found >= -1) & (found < rows)).all()
    assert (found >= 0).mean() == pytest.approx(mixup + cutmix, abs=0.03)


def test_all_rows_are_partners_equally_often():
    found = partners(MANY, CUT, 8)

    assert np.bincount(found, minlength=8) == pytest.approx(500, abs=100)


def test_mixup_is_the_mean_of_both_images_with_the_stated_share():
    values, others = images(4000), images(4000, seed=2)
    laid, shares = change(values, MANY, BLEND, others)
    weight = shares[:, None, None, None]

    assert np.abs(laid - (weight * values + (1 - weight) * others)).max() <= 0.5


@pytest.mark.long
@settings(max_examples=10)  # a table of 65 536 quantiles each
@given(st.sampled_from([(9, 7, 1), (8, 8, 3)]), st.floats(0.05, 20.0))
def test_cutmix_takes_each_pixel_from_one_image_and_the_share_is_the_part_of_the_own_ones(shape, alpha):
    white = np.full((1000, *shape), 255, np.uint8)
    laid, shares = change(white, MANY[:1000], Settings(cutmix=1.0, cutmix_alpha=alpha), np.zeros_like(white))

    assert np.isin(laid, (0, 255)).all()
    assert (laid == laid[..., :1]).all()
    assert np.array_equal((laid[..., 0] / 255).mean(axis=(1, 2)).round(9), shares.round(9))


def test_what_cutmix_takes_is_one_rectangle_about_any_place_of_the_image_s_own_aspect():
    own, _ = black_and_white(CUT)
    is_other = own == 0
    rows, columns = is_other.any(axis=2), is_other.any(axis=1)

    assert np.array_equal(is_other, rows[:, :, None] & columns[:, None, :])
    middle_x = (columns * np.arange(30)).sum(axis=1) / np.maximum(columns.sum(axis=1), 1)
    is_inside = (columns[:, 0] | columns[:, -1] | rows[:, 0] | rows[:, -1]) == 0
    assert np.abs(rows.sum(axis=1) / 20 - columns.sum(axis=1) / 30)[is_inside].max() < 0.05
    is_small = columns.sum(axis=1) == 6
    assert np.histogram(middle_x[is_small], 3, (0, 29))[0] == pytest.approx(is_small.sum() / 3, rel=0.4)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_shares_of_mixup_have_their_beta_distribution(alpha):
    _, shares = black_and_white(Settings(mixup=1.0, mixup_alpha=alpha))
    jitter = (np.arange(4000) + 0.5) / 4000 - 0.5  # shares are multiples of 1/256
    smooth = np.clip(shares + np.random.default_rng(1).permutation(jitter) / 256, 1e-9, 1 - 1e-9)

    assert kstest(smooth, beta(alpha, alpha).cdf).statistic < 0.04 + (alpha < 1) * 0.06
    assert np.array_equal(shares * 256, np.rint(shares * 256))


def test_rows_get_one_of_both_in_the_stated_parts():
    own, shares = black_and_white(Settings(mixup=0.3, cutmix=0.7))
    is_cut = ((own == 0) | (own == 1)).all(axis=(1, 2)) & (shares > 0) & (shares < 1)

    assert is_cut.mean() == pytest.approx(0.7, abs=0.06)


def test_the_share_says_nothing_of_the_place():
    own, shares = black_and_white(CUT)
    left = (own == 0).any(axis=1).argmax(axis=1)
    is_inside = left > 0

    assert abs(np.corrcoef(partners(MANY, CUT, 1000), shares)[0, 1]) < 0.05
    assert is_inside.mean() > 0.3


def test_quantiles_of_the_shares_rise_from_none_to_all_and_are_even_about_one_half():
    found = share_quantiles(1.0)

    assert found.min() == 0
    assert found.max() == 256
    assert (np.diff(found) >= 0).all()
    assert np.array_equal(found, 256 - found[::-1])


def test_given_images_are_left_alone():
    values, others = images(200), images(200, seed=2)
    before = values.copy(), others.copy()
    change(values, MANY[:200], Settings(mixup=0.5, cutmix=0.5), others)

    assert np.array_equal(values, before[0])
    assert np.array_equal(others, before[1])


@pytest.mark.parametrize("settings", [{}, {"mixup": 0.0, "cutmix": 0.0}])
def test_without_a_probability_no_row_gets_a_partner(settings: dict[str, Any]):
    assert (partners(MANY, Settings(**settings), 9) == -1).all()


def test_the_settings_and_their_ranges():
    assert overlay.KINDS == ("image",)
    assert Settings().model_dump() == {"mixup": 0.0, "cutmix": 0.0, "mixup_alpha": 0.4, "cutmix_alpha": 1.0}
    probability, alpha = (0.0, 1.0, -1e-9, 1.001), (1e-3, 100.0, 0.0, 100.1)
    assert_ranges(Settings, {}, mixup=probability, cutmix=probability, mixup_alpha=alpha, cutmix_alpha=alpha)
    with pytest.raises(ValidationError, match=r"mixup \+ cutmix must be at most 1, not 1\.2"):
        Settings(mixup=0.6, cutmix=0.6)
