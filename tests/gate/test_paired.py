"""Two models on the same rows: the arithmetic, held to its definitions and to a numerical maximum of the likelihood."""

import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import xlogy
from scipy.stats import binom

from pipeline.gate import paired
from pipeline.gate.paired import Counts

margins = st.floats(0.002, 0.4)


@st.composite
def tables(draw: st.DrawFn) -> Counts:
    rows = draw(st.integers(1, 5000))
    won = draw(st.integers(0, rows))
    return Counts(rows, won, draw(st.integers(0, rows - won)))


def z_by_likelihood(counts: Counts, margin: float) -> float:
    """Tango's score from its definition: where the likelihood has its maximum if the candidate is worse by `margin`."""
    won, lost, tied = counts.won, counts.lost, counts.rows - counts.won - counts.lost

    def unlikely(q: float) -> float:
        return -(xlogy(won, q - margin) + xlogy(lost, q) + xlogy(tied, 1 - 2 * q + margin))

    q = minimize_scalar(unlikely, bounds=(margin, (1 + margin) / 2), method="bounded", options={"xatol": 1e-12}).x
    return (won - lost + counts.rows * margin) / math.sqrt(counts.rows * (2 * q - margin - margin**2))


@given(tables(), margins)
def test_the_closed_form_is_the_maximum_of_the_likelihood(counts, margin):
    found = paired.tango(counts.won, counts.lost, counts.rows, margin)
    assert found == pytest.approx(z_by_likelihood(counts, margin), rel=1e-4, abs=1e-4)


@given(tables(), margins)
def test_where_the_likelihood_has_its_maximum_its_slope_is_nothing(counts, margin):
    """Sharper than the maximum itself: q from Z, put into the derivative of the likelihood (times its denominators)."""
    won, lost, rows = counts.won, counts.lost, counts.rows
    z = paired.tango(won, lost, rows, margin)
    surplus = won - lost + rows * margin
    if abs(surplus) < 1e-6 * rows:
        return
    q = ((surplus / z) ** 2 / rows + margin + margin**2) / 2
    rest = 1 - 2 * q + margin
    slope = won * q * rest + lost * (q - margin) * rest - 2 * (rows - won - lost) * q * (q - margin)
    assert slope / rows == pytest.approx(0, abs=1e-9)


@given(tables(), margins)
def test_a_row_more_won_or_less_lost_speaks_for_the_candidate(counts, margin):
    z = paired.tango(counts.won, counts.lost, counts.rows, margin)
    if counts.won + counts.lost < counts.rows:
        assert paired.tango(counts.won + 1, counts.lost, counts.rows, margin) > z
    if counts.lost:
        assert paired.tango(counts.won, counts.lost - 1, counts.rows, margin) > z


def test_the_score_takes_arrays():
    won, lost = np.array([3.0, 8.0]), np.array([5.0, 0.5])
    assert paired.tango(won, lost, 100, 0.01).tolist() == [
        paired.tango(3.0, 5.0, 100, 0.01),
        paired.tango(8.0, 0.5, 100, 0.01),
    ]


@given(margins, st.floats(1e-6, 0.2))
def test_the_rows_needed_are_the_fewest_on_which_models_that_answer_alike_pass(margin, error):
    rows, z = paired.rows_needed(margin, error), paired.z_at(error)
    assert paired.tango(0, 0, rows, margin) >= z - 1e-9
    assert rows == 1 or paired.tango(0, 0, rows - 1, margin) < z


def test_a_year_at_one_point_needs_1311_rows():
    assert paired.z_at(0.05 / 365) == pytest.approx(3.64, abs=0.005)
    assert paired.rows_needed(0.01, 0.05 / 365) == 1311


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_mid_p_is_that_of_its_definition(won, lost):
    decided = won + lost
    ways = [math.comb(decided, number) for number in range(decided + 1)]
    exact = Fraction(2 * sum(ways[won + 1 :]) + ways[won], 2 ** (decided + 1))
    assert paired.mid_p(Counts(decided, won, lost)) == pytest.approx(float(exact), rel=1e-9)


def test_two_that_answer_alike_are_as_likely_the_one_as_the_other():
    assert paired.mid_p(Counts(50, 0, 0)) == 0.5


@given(tables())
def test_the_mid_p_of_one_against_the_other_and_back_is_one(counts):
    back = Counts(counts.rows, counts.lost, counts.won)
    assert paired.mid_p(counts) + paired.mid_p(back) == pytest.approx(1)


@given(tables(), margins, st.floats(0.5, 4))
def test_an_equal_model_has_power_from_the_rows_that_it_is_told_to_need(counts, margin, z):
    rows = paired.rows_for_power(counts, margin, z)
    share = (counts.won + counts.lost) / counts.rows
    assert paired.tango(rows * share / 2, rows * share / 2, rows, margin) >= z - 1e-9
    assert paired.has_power(counts, margin, z) == (counts.rows >= rows)


@given(tables(), margins)
def test_an_equal_model_has_power_at_exactly_its_own_score(counts, margin):
    half = (counts.won + counts.lost) / 2
    z = paired.tango(half, half, counts.rows, margin)
    assert paired.has_power(counts, margin, z)
    assert not paired.has_power(counts, margin, math.nextafter(z, math.inf))


def test_one_row_has_power_of_its_own():
    assert paired.has_power(Counts(1, 0, 0), 0.4, 0.5)


@given(tables(), margins)
def test_a_gain_that_is_found_at_another_error_is_another(counts, margin):
    told_apart = max(counts.won + counts.lost, 1) / counts.rows
    for error, total in ((0.05, None), (0.01, None), (0.05, (margin, 3.0)), (0.05, (1e-9, 9.0))):
        z = paired.z_at(error) + paired.z_at(0.2)
        gains = [z * math.sqrt(told_apart / counts.rows)]
        rows = [told_apart * (z / 0.03) ** 2]
        if total is not None:
            gains.append((total[1] + paired.z_at(0.2)) * math.sqrt(told_apart / counts.rows) - total[0])
            rows.append(told_apart * ((total[1] + paired.z_at(0.2)) / (0.03 + total[0])) ** 2)
        assert paired.detectable_gain(counts, error=error, total=total) == pytest.approx(max(gains))
        assert paired.rows_for_gain(counts, 0.03, error=error, total=total) == math.ceil(max(rows))


def test_without_rows_nothing_has_power_and_nothing_has_a_score():
    none = Counts(0, 0, 0)
    assert not paired.has_power(none, 0.05, 1.645)
    for ask in (
        lambda: paired.tango(0, 0, 0, 0.01),
        lambda: paired.detectable_gain(none),
        lambda: paired.rows_for_gain(none, 0.01),
        lambda: paired.rows_for_power(none, 0.05, 1.645),
    ):
        with pytest.raises(ValueError, match="no rows"):
            ask()


def test_what_2000_rows_can_show():
    counts, total = Counts(2000, 58, 58), (0.01, paired.z_at(0.05 / 365))
    assert paired.detectable_gain(counts) == pytest.approx(2.49 * math.sqrt(0.058 / 2000), rel=0.002)
    assert paired.detectable_gain(counts, total=total) == pytest.approx(0.0141, abs=0.00005)
    assert paired.rows_for_gain(counts, 0.01, total=total) == pytest.approx(3590, abs=5)


@given(tables(), st.floats(0.001, 0.2), st.none() | st.tuples(margins, st.floats(1.7, 5)))
def test_the_rows_for_a_gain_are_those_on_which_it_is_detectable(counts, gain, total):
    rows = paired.rows_for_gain(counts, gain, total=total)
    share = max(counts.won + counts.lost, 1) / counts.rows
    scaled = Counts(10**9, round(share * 10**9), 0)
    assert rows == pytest.approx(paired.rows_for_gain(scaled, gain, total=total), rel=1e-3, abs=1)


def test_four_times_in_five_is_four_times_in_five():
    """The gain that the words name is found about as often as they say."""
    counts, generator = Counts(4000, 120, 120), np.random.default_rng(5)
    gain = paired.detectable_gain(counts)
    drawn = generator.multinomial(4000, [0.03 + gain / 2, 0.03 - gain / 2, 0.94], size=4000)
    found = np.mean(paired.mid_p_of(drawn[:, 0], drawn[:, 1]) <= 0.05)
    assert found == pytest.approx(0.8, abs=0.03)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), max_size=50))
def test_rows_are_counted_by_who_alone_has_them_right(rows):
    candidate, other = np.array([*zip(*rows, strict=True)], float) if rows else (np.empty(0), np.empty(0))
    assert paired.count(candidate, other) == Counts(len(rows), rows.count((1, 0)), rows.count((0, 1)))


def test_scores_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="3 rows of one, 2 of the other"):
        paired.count(np.ones(3), np.ones(2))
    with pytest.raises(ValueError, match="some scores are not finite"):
        paired.count(np.array([1.0, math.nan]), np.ones(2))


@pytest.mark.parametrize("won", [0, 5, 120])
def test_a_model_worse_by_the_margin_passes_no_more_often_than_the_verdicts_share_of_the_error(won):
    """Worked out over every outcome: what the rule promises for a year needs the score to hold this far out."""
    rows, margin, error = 2000, 0.01, 0.05 / 365
    lost, chance = np.arange(300.0), 0.0
    for number in range(3 * won + 60):
        score = paired.tango(np.full(len(lost), float(number)), lost, rows, margin)
        passes = binom.pmf(lost, rows - number, (won / rows + margin) / (1 - won / rows))[score >= paired.z_at(error)]
        chance += binom.pmf(number, rows, won / rows) * passes.sum()
    assert 0 < chance <= error


@settings(max_examples=20)
@given(st.floats(1e-6, 0.5), st.floats(1e-6, 0.5))
def test_the_smaller_the_error_the_higher_the_bar(one, other):
    assert (paired.z_at(one) > paired.z_at(other)) == (one < other)


def test_it_is_imported_without_numpy_and_scipy():
    code = "import sys, pipeline.gate.paired; print({'numpy', 'scipy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.parametrize(("margin", "error"), [(1e-320, 0.05), (0.01, 5e-324), (0.01, 0.0)])
def test_the_smallest_numbers_are_no_bug(margin: float, error: float) -> None:
    assert 0 < paired.rows_needed(margin, error) <= 10**18


def test_no_error_at_all_asks_for_what_nearly_none_does():
    assert paired.z_at(0) == paired.z_at(1e-300) == pytest.approx(37.047, abs=0.001)
    assert paired.rows_needed(1e-320, 0.05) == 10**18
