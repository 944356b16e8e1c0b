"""The order of an epoch is a permutation, the same however it is cut, and as fair as a shuffle."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, permutations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.training.order import EpochOrder

seeds = st.integers(0, 2**63 - 1)
epochs = st.integers(1, 10_000)


@given(rows=st.integers(0, 2000), seed=seeds, epoch=epochs)
def test_an_epoch_visits_every_row_exactly_once(rows: int, seed: int, epoch: int) -> None:
    order = EpochOrder(rows, seed, epoch)
    assert len(order) == rows
    assert sorted(order.rows(0, rows)) == list(range(rows))


@given(rows=st.integers(0, 500), seed=seeds, cuts=st.lists(st.integers(0, 500), max_size=8))
def test_however_the_order_is_cut_its_pieces_are_the_same(rows: int, seed: int, cuts: list[int]) -> None:
    order = EpochOrder(rows, seed, 3)
    bounds = [0, *sorted(cut for cut in cuts if cut <= rows), rows]
    pieces = [order.rows(begin, end) for begin, end in pairwise(bounds)]
    assert np.array_equal(np.concatenate(pieces), order.rows(0, rows))


@given(seed=seeds, epoch=epochs)
def test_the_order_is_a_function_of_seed_and_epoch(seed: int, epoch: int) -> None:
    order = EpochOrder(300, seed, epoch).rows(0, 300)
    assert np.array_equal(order, EpochOrder(300, seed, epoch).rows(0, 300))
    assert not np.array_equal(order, EpochOrder(300, seed, epoch + 1).rows(0, 300))
    assert not np.array_equal(order, EpochOrder(300, (seed + 1) % 2**63, epoch).rows(0, 300))


def test_the_order_never_changes() -> None:
    assert EpochOrder(10, 1, 1).rows(0, 10).tolist() == [2, 7, 3, 1, 0, 6, 5, 4, 9, 8]
    assert EpochOrder(10**12, 1, 1).rows(10**12 - 2, 10**12).tolist() == [832156355829, 230365809324]


@given(rows=st.integers(1, 2**40), begin=st.integers(0, 2**40), seed=seeds)
@settings(max_examples=50)
def test_places_of_any_number_of_rows_cost_no_memory(rows: int, begin: int, seed: int) -> None:
    order = EpochOrder(rows, seed, 1)
    begin %= rows
    found = order.rows(begin, min(rows, begin + 64))
    assert len(set(found.tolist())) == len(found) == min(64, rows - begin)
    assert 0 <= found.min() <= found.max() < rows


@pytest.mark.parametrize(("begin", "end"), [(-1, 2), (3, 2), (0, 11)])
def test_a_place_that_is_none_is_refused(begin: int, end: int) -> None:
    with pytest.raises(IndexError, match="of 10"):
        EpochOrder(10, 1, 1).rows(begin, end)


@given(rows=st.integers(1, 500), seed=seeds, data=st.data())
def test_any_places_have_the_rows_that_they_have_in_the_order(rows: int, seed: int, data: st.DataObject) -> None:
    order = EpochOrder(rows, seed, 1)
    places = np.array(data.draw(st.lists(st.integers(0, rows - 1))), np.int64)
    assert np.array_equal(order.at(places), order.rows(0, rows)[places])
    with pytest.raises(IndexError, match=f"of {rows}"):
        order.at(np.append(places, rows))


@pytest.mark.long
@pytest.mark.parametrize("rows", [3, 4, 5])
def test_few_rows_come_in_each_of_their_orders_equally_often(rows: int) -> None:
    orders, expected = list(permutations(range(rows))), 20
    counts = Counter(tuple(EpochOrder(rows, seed, 1).rows(0, rows)) for seed in range(expected * len(orders)))
    assert is_fair(np.array([counts[order] for order in orders]), expected)
    assert len(orders) == factorial(rows)


def test_rows_come_everywhere_in_an_epoch_and_after_each_other_equally_often() -> None:
    rows, epochs, blocks = 1009, 200, 16
    orders = [EpochOrder(rows, 7, epoch).rows(0, rows) * blocks // rows for epoch in range(epochs)]
    place = np.arange(rows) * blocks // rows
    visits, followed = np.zeros((2, blocks, blocks))
    for order in orders:
        np.add.at(visits, (place, order), 1)
        np.add.at(followed, (order[:-1], order[1:]), 1)
    size = np.bincount(place)
    assert is_fair(visits, epochs * np.outer(size, size) / rows, parameters=2 * blocks - 1)
    pairs = np.outer(size, size) - np.diag(size)  # no row follows itself
    assert is_fair(followed, epochs * pairs / rows, parameters=2 * blocks - 1)


def is_fair(counts: np.ndarray, expected: np.ndarray | float, parameters: int = 1) -> bool:
    """Return whether counts are within 4.5 standard deviations of a fair draw's chi-square."""
    degrees = counts.size - parameters
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    return abs(chi_square - degrees) < 4.5 * np.sqrt(2 * degrees)
