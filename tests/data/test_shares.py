"""Whole rows of shares add up, and go to the largest remainders."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.shares import largest_remainder


@given(rows=st.integers(0, 10_000), shares=st.lists(st.integers(1, 100), min_size=1, max_size=5))
def test_largest_remainder_adds_up_and_is_never_off_by_one(rows, shares):
    fractions = [share / sum(shares) for share in shares]

    counts = largest_remainder(rows, fractions)

    assert sum(counts) == rows
    assert all(abs(count - rows * share) < 1 + 1e-9 for count, share in zip(counts, fractions, strict=True))


@given(rows=st.integers(0, 1000), shares=st.lists(st.integers(1, 100), min_size=1, max_size=5))
def test_rows_that_are_left_go_to_the_largest_remainders_of_equal_ones_to_the_first(rows, shares):
    fractions = [Fraction(share, sum(shares)) for share in shares]
    left = [(rows * share) % 1 for share in fractions]
    counts = [int(rows * share) for share in fractions]
    for part in sorted(range(len(shares)), key=lambda part: (-left[part], part))[: rows - sum(counts)]:
        counts[part] += 1

    assert largest_remainder(rows, fractions) == counts
