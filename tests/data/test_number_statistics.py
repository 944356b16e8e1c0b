"""Figures of counted numbers, held against exact fractions and NumPy."""

from __future__ import annotations

import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.number_statistics import Counts, Values, deviation, mean, mode, quantile

SIZED = st.floats(-1e30, 1e30)
ROWS = st.lists(st.one_of(SIZED, st.integers(-5, 5).map(float), st.floats(1e9, 1e9 + 1)), min_size=1, max_size=40)


def counted(rows: list[float]) -> tuple[Values, Counts]:
    values, counts = np.unique(np.array(rows) + 0.0, return_counts=True)
    return values, counts


@given(ROWS)
def test_mean_and_deviation_are_those_of_exact_fractions(rows: list[float]) -> None:
    exact = [Fraction(row) for row in rows]
    size = max(map(abs, rows))
    centre = sum(exact) / len(exact)
    variance = sum((row - centre) ** 2 for row in exact) / len(exact)
    values, counts = counted(rows)

    assert mean(values, counts) == pytest.approx(float(centre), rel=1e-12, abs=1e-15 * size)
    expected = float(variance) ** 0.5
    assert deviation(values, counts) == pytest.approx(expected, rel=1e-9, abs=1e-15 * size)


@given(ROWS, st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
def test_quantiles_are_numpy_s(rows: list[float], share: float) -> None:
    expected = float(np.quantile(np.array(rows), share))
    assert quantile(*counted(rows), share) == pytest.approx(expected, rel=1e-12, abs=1e-15 * max(map(abs, rows)))


@given(st.lists(st.integers(-3, 3).map(float), min_size=1))
def test_the_mode_is_the_lowest_of_the_most_frequent(rows: list[float]) -> None:
    assert mode(*counted(rows)) == min(statistics.multimode(rows))


@given(SIZED, st.integers(1, 10**9))
def test_equal_numbers_are_their_own_mean_and_quartiles_and_do_not_deviate(value: float, rows: int) -> None:
    values, counts = np.array([value + 0.0]), np.array([rows])

    assert {mean(values, counts), mode(values, counts), quantile(values, counts, 0.25)} == {value}
    assert deviation(values, counts) == 0


def test_numbers_whose_squares_are_lost_or_beyond_float64_deviate_all_the_same() -> None:
    for size in (1e-200, 1e-9, 1e200):
        assert deviation(np.array([-size, size]), np.array([5, 5])) == pytest.approx(size, rel=1e-12)


def test_neighbours_far_from_0_deviate_as_they_do_near_it() -> None:
    assert deviation(np.array([1e16, 1e16 + 2]), np.array([1, 1])) == pytest.approx(1.0)


def test_a_quantile_lies_between_two_rows_by_where_it_is() -> None:
    values, counts = np.array([1.0, 2.0, 10.0]), np.array([1, 2, 1])

    assert [quantile(values, counts, share) for share in (0.25, 0.5, 0.75)] == [1.75, 2.0, 4.0]
