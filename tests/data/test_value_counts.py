"""Counts of distinct values add up to the same, however rows are cut and in whatever order the pieces come."""

from __future__ import annotations

import pickle
from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.value_counts import ValueCounts, added, counted

NUMBERS = st.one_of(st.none(), st.sampled_from([0.0, 1.5, -2.0]), st.floats(allow_nan=False).map(lambda x: x + 0.0))
TEXTS = st.one_of(st.none(), st.sampled_from(["", "a", "B", "ä", "\U0001f600"]), st.text(st.characters(codec="utf-8")))


def told(counts: ValueCounts) -> tuple[list[Any], list[int], int]:
    return counts.values.to_pylist(), counts.counts.tolist(), counts.missing


@given(st.one_of(st.lists(NUMBERS), st.lists(TEXTS)), st.lists(st.integers(0, 20), max_size=5), st.randoms())
def test_neither_pieces_nor_their_order_make_a_difference(rows: list[Any], cuts: list[int], random: Random) -> None:
    kind = pa.string() if any(isinstance(row, str) for row in rows) else pa.float64()
    column = pa.array(rows, kind)
    ends = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    pieces = [counted(column[start:end]) for start, end in pairwise(ends)]
    random.shuffle(pieces)

    found = added(pieces, kind)

    expected = Counter(row for row in rows if row is not None)
    in_order = sorted(expected, key=lambda value: value.encode() if isinstance(value, str) else value)
    assert told(found) == (in_order, [expected[value] for value in in_order], rows.count(None))
    assert told(counted(column)) == told(found)
    assert found.rows == len(rows)


@pytest.mark.parametrize("kind", [pa.string(), pa.float64()])
def test_no_pieces_are_no_values(kind: pa.DataType) -> None:
    found = added([], kind)
    assert told(found) == ([], [], 0)
    assert found.values.type == kind


def test_a_piece_travels_without_the_column_that_it_is_of() -> None:
    column = pa.array([f"{row} {'x' * 1000}" for row in range(1000)])

    sent = pickle.dumps(counted(column[3:5]))

    assert len(sent) < 5000
    assert told(pickle.loads(sent)) == told(counted(column[3:5]))
