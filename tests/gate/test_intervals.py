"""Limits of figures: what they must never get wrong, and that they hold the truth as often as they say."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.stats import binom

from pipeline.gate import intervals

RULE = {"confidence": 0.95, "resamples": 400}
SEED = (3, 1)
rows_of_values = npst.arrays(np.float64, st.integers(1, 60), elements=st.floats(-100, 100))


@given(st.integers(1, 3000), st.data(), st.floats(0.6, 0.999))
def test_the_limits_of_a_share_are_where_so_few_and_so_many_become_unlikely(rows, data, confidence):
    hits = data.draw(st.integers(0, rows))
    limits = intervals.of_share(hits, rows, confidence)
    if hits:
        assert binom.sf(hits - 1, rows, limits.low) == pytest.approx(1 - confidence, rel=1e-6)
    if hits < rows:
        assert binom.cdf(hits, rows, limits.high) == pytest.approx(1 - confidence, rel=1e-6)
    assert 0 <= limits.low <= hits / rows <= limits.high <= 1


@pytest.mark.parametrize(("hits", "low", "high"), [(0, 0, 1 - 0.05 ** (1 / 30)), (30, 0.05 ** (1 / 30), 1)])
def test_a_share_of_none_or_all_has_one_limit(hits, low, high):
    limits = intervals.of_share(hits, 30, 0.95)
    assert (limits.low, limits.high) == pytest.approx((low, high))


def test_of_a_share_without_rows_nothing_is_known():
    limits = intervals.of_share(0, 0, 0.95)
    assert (limits.low, limits.high) == (0, 1)


@given(rows_of_values)
@settings(max_examples=40)
def test_the_mean_is_between_its_limits(values):
    limits = intervals.of_mean(values, seed=SEED, **RULE)
    assert limits.low - 1e-9 <= values.mean() <= limits.high + 1e-9


@given(rows_of_values, st.floats(0.01, 50), st.floats(-50, 50))
@settings(max_examples=25)
def test_limits_move_with_the_scale(values, factor, offset):
    values = np.round(values, 3)
    before = intervals.of_mean(values, seed=SEED, **RULE)
    after = intervals.of_mean(factor * values + offset, seed=SEED, **RULE)
    assert after.low == pytest.approx(factor * before.low + offset, rel=1e-6, abs=1e-3)
    assert after.high == pytest.approx(factor * before.high + offset, rel=1e-6, abs=1e-3)


@given(rows_of_values)
@settings(max_examples=25)
def test_limits_turn_over_with_the_sign(values):
    """The same resamples, seen in a mirror."""
    limits = intervals.of_mean(values, seed=SEED, low=-200, high=300, **RULE)
    mirrored = intervals.of_mean(-values, seed=SEED, low=-300, high=200, **RULE)
    assert (mirrored.low, mirrored.high) == pytest.approx((-limits.high, -limits.low))


@given(rows_of_values)
@settings(max_examples=25)
def test_more_confidence_never_narrows_the_limits(values):
    some = intervals.of_mean(values, 0.9, 400, SEED, low=-100, high=100)
    more = intervals.of_mean(values, 0.95, 400, SEED, low=-100, high=100)
    assert more.low <= some.low
    assert some.high <= more.high


def test_the_limits_of_many_ordinary_values_are_those_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(3, 2, 5000)
    limits = intervals.of_mean(values, 0.95, 4000, SEED)
    reach = 1.645 * values.std() / math.sqrt(5000)
    assert (limits.low, limits.high) == pytest.approx((values.mean() - reach, values.mean() + reach), abs=0.1 * reach)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-math.inf, math.inf)])
def test_without_any_spread_the_worst_rows_that_may_be_unseen_decide(low, high):
    limits = intervals.of_mean(np.full(200, 0.9), seed=SEED, low=low, high=high, **RULE)
    unseen = 1 - 0.05 ** (1 / 200)
    worst = (0.9 - unseen * 0.9, 0.9 + unseen * 0.1)
    assert (limits.low, limits.high) == pytest.approx(worst if math.isfinite(low) else (low, high))


def test_one_lost_row_leaves_a_third_of_the_resamples_without_spread_and_no_lower_limit():
    values = np.append(np.ones(99), 0.0)
    limits = intervals.of_mean(values, seed=SEED, low=0, high=1, **RULE)
    assert limits.low == 0
    assert limits.high == 1


def test_limits_stay_within_the_range():
    limits = intervals.of_mean(np.array([0.1, 0.9, 0.95]), seed=SEED, low=0, high=1, **RULE)
    assert (limits.low, limits.high) == (0, 1)


def test_without_rows_nothing_is_known():
    limits = intervals.of_mean(np.empty(0), seed=SEED, low=0, high=1, **RULE)
    assert (limits.low, limits.high) == (0, 1)


def test_a_million_rows_are_pooled_and_have_the_limits_of_their_mean():
    values = (np.random.default_rng(2).random(1_000_000) < 0.93).astype(np.float64)
    limits = intervals.of_mean(values, 0.95, 400, SEED, low=0, high=1)
    reach = 1.645 * values.std() / 1000
    assert (limits.low, limits.high) == pytest.approx((values.mean() - reach, values.mean() + reach), abs=0.2 * reach)


def test_pooling_keeps_the_mean():
    values = np.random.default_rng(2).random(100_003) ** 9
    pooled = intervals._pooled(values, np.random.default_rng(0))
    assert len(pooled) == 8192
    assert pooled.mean() == pytest.approx(values.mean(), rel=1e-12)


def test_the_same_seed_gives_the_same_limits_and_how_many_are_drawn_at_once_none_other(monkeypatch):
    values = np.random.default_rng(4).normal(size=300)
    whole = intervals.of_mean(values, seed=SEED, **RULE)
    monkeypatch.setattr(intervals, "_DRAWN_AT_ONCE", 1000)
    assert intervals.of_mean(values, seed=SEED, **RULE) == whole


@pytest.mark.parametrize(("confidence", "resamples"), [(0.95, 399), (0.9999, 100), (0.99, 1999)])
def test_too_few_resamples_for_the_confidence_are_refused(confidence, resamples):
    with pytest.raises(ValueError, match=rf"{resamples} resamples, needed are at least \d+ at a confidence of"):
        intervals.of_mean(np.ones(9), confidence, resamples, SEED)
    intervals.of_mean(np.ones(9), confidence, math.ceil(round(20 / (1 - confidence), 6)), SEED)


@pytest.mark.parametrize("figure", [math.nan, math.inf])
def test_values_that_are_not_finite_are_refused(figure):
    with pytest.raises(ValueError, match="some values are not finite"):
        intervals.of_mean(np.array([0.0, figure]), seed=SEED, **RULE)


@pytest.mark.long
@pytest.mark.parametrize("expected", [0.5, 2.0, 5.0])
@pytest.mark.parametrize("base", ["flat", "noisy"])
def test_a_lower_limit_holds_the_truth_when_few_rows_are_lost(expected, base):
    """What the percentile bootstrap held in 39 to 95 of 100 cases, on values that are right or wrong, or vary too."""
    generator, rows, held = np.random.default_rng(7), 60, 0
    for trial in range(300):
        values = 1.0 - (0.02 * generator.random(rows) if base == "noisy" else 0.0)
        values = np.where(generator.random(rows) < expected / rows, 0.0, values)
        truth = (1 - expected / rows) * (0.99 if base == "noisy" else 1.0)
        held += intervals.of_mean(values, seed=(trial,), low=0, high=1, **RULE).low <= truth
    assert held / 300 >= 0.92


@pytest.mark.parametrize(("confidence", "needed"), [(0.95, 400), (0.99, 2000), (0.9, 200), (0.9999, 200_000)])
def test_the_fewest_resamples_are_named(confidence, needed):
    with pytest.raises(ValueError, match=rf"^{needed - 1} resamples, needed are at least {needed} at a confidence of"):
        intervals.of_mean(np.ones(9), confidence, needed - 1, SEED)


def test_the_limits_are_those_of_the_studentized_resamples_and_what_may_be_unseen():
    values = np.random.default_rng(1).random(40)
    mean, deviation = values.mean(), values.std()
    drawn = values[np.random.default_rng(SEED).integers(0, 40, size=(400, 40))]
    far = np.sort((drawn.mean(axis=1) - mean) / drawn.std(axis=1))
    limits = intervals.of_mean(values, seed=SEED, **RULE)
    rank = 20  # of 400 resamples, 5 % of 401
    assert limits.low == pytest.approx(mean - far[400 - rank] * deviation)
    assert limits.high == pytest.approx(mean - far[rank - 1] * deviation)
    unseen = 1 - 0.05 ** (1 / 40)
    known = intervals.of_mean(values, seed=SEED, low=-3.0, high=4.0, **RULE)
    assert known.low == pytest.approx(limits.low - unseen * (mean + 3))
    assert known.high == pytest.approx(limits.high + unseen * (4 - mean))


def test_a_range_that_the_rows_leave_does_not_pull_a_limit_inwards():
    values = np.random.default_rng(1).random(40)
    inside = intervals.of_mean(values, seed=SEED, low=float(values.min()), high=float(values.max()), **RULE)
    outside = intervals.of_mean(values, seed=SEED, low=0.2, high=0.8, **RULE)
    assert outside.low == max(inside.low, 0.2)
    assert outside.high == min(inside.high, 0.8)


def test_limits_say_how_they_were_found():
    assert intervals.of_share(3, 9, 0.95).how == "Clopper–Pearson"
    for values in (np.random.default_rng(1).random(9), np.ones(9), np.empty(0)):
        assert intervals.of_mean(values, seed=SEED, **RULE).how == "studentized bootstrap"


def test_a_spread_that_is_rounding_is_none():
    flat = np.full(50, 1e6)
    flat[0] += 1e-5
    limits = intervals.of_mean(flat, seed=SEED, low=0.0, high=2e6, **RULE)
    unseen = 1 - 0.05 ** (1 / 50)
    assert (limits.low, limits.high) == pytest.approx((1e6 - unseen * 1e6, 1e6 + unseen * 1e6), rel=1e-12)


@pytest.mark.parametrize(("rows", "groups"), [(8192, 8192), (8193, 8192), (20_000, 8192)])
def test_only_more_than_8192_rows_are_pooled_and_into_groups_as_equal_as_can_be(rows, groups):
    values = np.arange(rows, dtype=float)
    pooled = intervals._pooled(values, np.random.default_rng(0))
    assert len(pooled) == groups
    assert (pooled is values) == (rows == 8192)
    if rows == 20_000:
        ones = intervals._pooled(np.append(np.zeros(19_999), 1.0), np.random.default_rng(0))
        # Groups have 2 or 3 rows, and each counts as much as rows / groups: the sum over all stays what it was.
        assert ones.sum() * rows / groups == pytest.approx(1.0)


def test_resamples_of_many_rows_are_drawn_some_at_a_time():
    values = np.random.default_rng(4).random(300)
    drawn = list(intervals._drawn(values, 15_000, np.random.default_rng(1)))
    assert [len(means) for means, _ in drawn] == [6990, 6990, 1020]
    for means, deviations in drawn:
        assert means.mean() == pytest.approx(values.mean(), abs=0.002)
        assert deviations.mean() == pytest.approx(values.std(), abs=0.002)
