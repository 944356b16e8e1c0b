"""Bins of a number hold about as many rows each, none is empty, and every number is in the bin that its name says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.data.strata import Strata, quantile_edges, strata_of

numbers = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60)
few = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=60)


def bins_of(values: list[float], quantiles: int) -> tuple[Strata, np.ndarray]:
    strata = Strata.of_edges(quantile_edges(np.array(values), quantiles))
    return strata, strata.of(np.array(values))


@given(values=numbers | few, quantiles=st.integers(2, 12))
@example(values=[0.0, -0.0, 1.0], quantiles=2)
def test_no_bin_is_empty_and_their_names_differ(values, quantiles):
    strata, found = bins_of(values, quantiles)

    assert set(found.tolist()) == set(range(len(strata.names)))
    assert len(set(strata.names)) == len(strata.names) <= quantiles
    assert len(strata.names) == (len(strata.edges) + 1 if strata.edges else 1)
    assert set(strata.edges) <= set(values)


@given(values=st.sets(st.integers(-500, 500), min_size=20, max_size=90), quantiles=st.integers(2, 10))
def test_different_numbers_are_divided_evenly(values, quantiles):
    strata, found = bins_of([float(value) for value in values], quantiles)

    assert len(strata.names) == quantiles
    counts = np.bincount(found)
    assert counts.min() >= len(values) // quantiles
    assert counts.max() <= -(-len(values) // quantiles)


@given(values=numbers | few, quantiles=st.integers(2, 12), data=st.data())
def test_the_order_of_rows_makes_no_difference(values, quantiles, data):
    shuffled = data.draw(st.permutations(values))

    assert quantile_edges(np.array(shuffled), quantiles) == quantile_edges(np.array(values), quantiles)


@given(values=few, edges=st.sets(st.integers(-2, 2), min_size=1))
def test_a_bin_is_above_its_lower_edge_and_up_to_its_upper_one(values, edges):
    in_order = sorted(map(float, edges))
    low, high = [-np.inf, *in_order], [*in_order, np.inf]

    for value, bin_ in zip(values, strata_of(np.array(values), tuple(in_order)).tolist(), strict=True):
        assert low[bin_] < value <= high[bin_]


def test_edges_are_numbers_of_rows_at_the_quantiles():
    assert quantile_edges(np.arange(1.0, 101.0), 4) == (25.0, 50.0, 75.0)
    assert quantile_edges(np.array([5.0, 1.0, 3.0]), 2) == (3.0,)
    assert quantile_edges(np.array([7.0] * 9), 10) == ()
    assert quantile_edges(np.array([1.0, *[7.0] * 9]), 2) == ()
    assert quantile_edges(np.array([1.0, *[7.0] * 9]), 10) == (1.0,)
    assert quantile_edges(np.empty(0), 10) == ()
    assert str(quantile_edges(np.array([-0.0, -0.0, 1.0]), 2)) == "(0.0,)"


@pytest.mark.parametrize(
    ("edges", "names"),
    [
        ((), ("all",)),
        ((12.5,), ("≤ 12.5", "> 12.5")),
        ((12.5, 30.0), ("≤ 12.5", "12.5 – 30", "> 30")),
        (
            (-1e300, 0.1, 0.1 + 0.2),
            ("≤ -1e+300", "-1e+300 – 0.1", "0.1 – 0.30000000000000004", "> 0.30000000000000004"),
        ),
    ],
)
def test_bins_are_named_by_their_edges(edges, names):
    assert Strata.of_edges(edges).names == names


def test_a_class_is_its_own_stratum():
    strata = Strata.of_classes(["b", "a"])

    assert (strata.names, strata.edges) == (("b", "a"), None)
    assert strata.of(np.array([1, 0, 1], np.int32)).tolist() == [1, 0, 1]
    assert strata_of(np.array([3.0, 4.0]), ()).tolist() == [0, 0]
