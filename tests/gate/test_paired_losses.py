"""Two models whose scores are losses: what the mean of their differences proves, and what no row can show."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.gate.paired import z_at
from pipeline.gate.paired_losses import (
    Losses,
    chance,
    compare,
    detectable_gain,
    has_power,
    rows_for_gain,
    rows_for_power,
    score,
)

FEW = st.lists(st.floats(-50, 0).map(lambda value: round(value, 3)), min_size=2, max_size=40)
MARGINS = st.floats(0.01, 100)


@st.composite
def losses(draw: st.DrawFn) -> Losses:
    """What two models' scores came to."""
    ours = draw(FEW)
    theirs = draw(
        st.lists(st.floats(-50, 0).map(lambda value: round(value, 3)), min_size=len(ours), max_size=len(ours))
    )
    return compare(np.array(ours), np.array(theirs))


def made(
    rows: int = 1000, mean: float = 0.0, deviation: float = 2.0, skewness: float = 0.0, reach: float = 50
) -> Losses:
    return Losses(rows, 400, 300, mean, deviation, skewness, reach)


def test_differences_are_described_by_their_moments() -> None:
    generator = np.random.default_rng(1)
    ours, theirs = -generator.exponential(3, 500), -generator.exponential(4, 500)
    found, differences = compare(ours, theirs), ours - theirs
    assert (found.rows, found.won, found.lost) == (500, (differences > 0).sum(), (differences < 0).sum())
    assert found.mean == pytest.approx(differences.mean())
    assert found.deviation == pytest.approx(differences.std(ddof=1))
    assert found.skewness == pytest.approx(stats.skew(differences), rel=0.01)
    assert found.reach == pytest.approx(max(ours.max(), theirs.max()) - min(ours.min(), theirs.min()))


def test_without_skewness_the_step_is_student_s_t() -> None:
    differences = np.concatenate([np.arange(10) - 4.5, [1.0, -1.0]]) + 0.3
    found = compare(differences, np.zeros(12))
    assert found.skewness == pytest.approx(0, abs=1e-9)
    assert chance(found) == pytest.approx(stats.ttest_1samp(differences, 0, alternative="greater").pvalue)


def test_skewness_is_removed_as_hall_says() -> None:
    found = made(rows=100, mean=0.4, skewness=-3.0)
    s = 0.2
    t = 10 * (s - 3 * s**2 / 3 + 9 * s**3 / 27 - 3 / 600)
    assert chance(found) == pytest.approx(stats.t.sf(t, 99))
    assert chance(found) > chance(made(rows=100, mean=0.4))


@given(losses(), st.floats(0.01, 5))
def test_a_better_mean_never_proves_less(found: Losses, more: float) -> None:
    better = Losses(found.rows, found.won, found.lost, found.mean + more, *_rest(found))
    if found.won or found.lost:
        assert chance(better) <= chance(found)
    assert score(better, 1.0) >= score(found, 1.0)


@given(losses(), MARGINS, st.floats(1.0, 3))
def test_a_wider_margin_never_lets_less_through(found: Losses, margin: float, wider: float) -> None:
    assert score(found, margin * wider) >= score(found, margin) - 1e-9  # the last bits are rounding


@given(losses(), MARGINS, st.sampled_from([0.125, 0.5, 8.0, 64.0]))
def test_the_unit_makes_no_difference(found: Losses, margin: float, unit: float) -> None:
    mean, deviation, reach = (unit * each for each in (found.mean, found.deviation, found.reach))
    other = Losses(found.rows, found.won, found.lost, mean, deviation, found.skewness, reach)
    assert chance(other) == pytest.approx(chance(found))
    assert score(other, unit * margin) == pytest.approx(score(found, margin))


@given(losses())
def test_one_of_two_at_most_is_better(found: Losses) -> None:
    assert found.reversed.reversed == found
    assert chance(found) + chance(found.reversed) == pytest.approx(1, abs=1e-6)


@given(FEW)
def test_the_order_of_rows_makes_no_difference(scores: list[float]) -> None:
    ours, theirs = np.array(scores), np.roll(np.array(scores), 1)
    order = np.random.default_rng(len(scores)).permutation(len(scores))
    found, other = compare(ours, theirs), compare(ours[order], theirs[order])
    assert other.mean == pytest.approx(found.mean, abs=1e-9)
    assert score(other, 1.0) == pytest.approx(score(found, 1.0), abs=1e-4)


def test_two_that_answer_alike_pass_on_as_many_rows_as_would_show_a_fault_of_that_cost() -> None:
    margin, reach, error = 0.5, 100.0, 0.05
    rows = math.ceil(math.log(error) / math.log1p(-margin / reach))
    for number, passes in ((rows, True), (rows - 1, False)):
        scores = -np.linspace(0, reach, number)
        assert (score(compare(scores, scores), margin) >= z_at(error)) is passes
    assert rows_for_power(Losses(10, 0, 0, 0.0, 0.0, 0.0, reach), margin, z_at(error)) == rows


def test_what_cannot_be_told_is_not_passed() -> None:
    for found in (
        compare(np.empty(0), np.empty(0)),
        compare(np.zeros(1), np.ones(1)),
        compare(np.zeros(9), np.zeros(9)),
    ):
        assert score(found, 1e9) == 0.0
        assert not has_power(found, 1e9, z_at(0.05))
    assert rows_for_power(compare(np.zeros(9), np.zeros(9)), 1.0, 2.0) is None
    assert chance(compare(np.zeros(9), np.zeros(9))) == 0.5


def test_scores_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="2 rows of one, 3 of the other"):
        compare(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="not finite"):
        compare(np.array([0.0, np.nan]), np.zeros(2))


def test_a_gain_on_every_row_alike_is_certain() -> None:
    found = compare(np.zeros(10), np.full(10, -1.0))
    assert found.deviation == 0
    assert chance(found) < 1e-12
    assert chance(found.reversed) > 1 - 1e-12


def test_an_equal_model_has_power_from_the_rows_that_are_said() -> None:
    for margin, reach in ((0.3, 5.0), (0.3, 500.0)):
        needed = rows_for_power(made(rows=50, reach=reach), margin, z_at(0.05))
        assert needed is not None
        assert has_power(made(rows=needed + 2, reach=reach), margin, z_at(0.05))
        assert not has_power(made(rows=needed - 5, reach=reach), margin, z_at(0.05))


def test_a_detectable_gain_is_found_four_times_in_five() -> None:
    found = made(rows=2000)
    gain = detectable_gain(found, error=0.05)
    assert gain == pytest.approx((z_at(0.05) + z_at(0.2)) * 2 / 2000**0.5)
    # The mean of differences is normal around the gain, and found if it is z(0.05) deviations above 0.
    assert NormalDist().cdf(gain / (2 / 2000**0.5) - z_at(0.05)) == pytest.approx(0.8)


@given(st.integers(100, 100_000), st.floats(0.1, 50), st.floats(1, 500), st.floats(0.05, 5))
@settings(max_examples=50)
def test_rows_for_a_gain_are_the_fewest_on_which_it_is_found(
    rows: int, deviation: float, reach: float, margin: float
) -> None:
    found = made(rows=rows, deviation=deviation, reach=reach)
    total = (margin, z_at(0.05 / 365))
    gain = detectable_gain(found, error=0.05, total=total)
    if gain > 0:
        assert abs(rows_for_gain(found, gain, error=0.05, total=total) - rows) <= 1 + 1e-6 * rows
    for asked in (detectable_gain, rows_for_gain):
        with pytest.raises(ValueError, match="no rows"):
            asked(made(rows=0), **({"gain": 1.0} if asked is rows_for_gain else {}), error=0.05)  # type: ignore[operator]


def test_a_total_asks_for_more_than_the_step_where_its_margin_is_narrow() -> None:
    found = made(rows=2000, reach=300)
    z = z_at(0.05 / 365)
    unseen = 300 * (1 - (0.05 / 365) ** (1 / 2000))
    assert detectable_gain(found, error=0.05, total=(0.1, z)) == pytest.approx(unseen - 0.1)
    assert detectable_gain(found, error=0.05, total=(100.0, z)) == detectable_gain(found, error=0.05)


@pytest.mark.parametrize("faults", [0.5, 1.0, 2.0, 3.0, 5.0])
def test_a_model_that_is_worse_by_the_margin_for_rare_faults_is_seldom_let_through(faults: float) -> None:
    """On all rows but some it is a little better; the faults cost as much as errors that occur on other rows too."""
    generator = np.random.default_rng(int(10 * faults))
    passed, runs, rows, cost, margin = 0, 400, 600, 40.0, 1.0
    for _ in range(runs):
        theirs = -generator.uniform(0, cost, rows)
        has_fault = generator.random(rows) < faults / rows
        ours = theirs + generator.normal(0, 0.2, rows) + cost * faults / rows - cost * has_fault - margin
        passed += score(compare(ours, theirs), margin) >= z_at(0.05)
    assert passed / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


def _rest(found: Losses) -> tuple[float, float, float]:
    return found.deviation, found.skewness, found.reach
