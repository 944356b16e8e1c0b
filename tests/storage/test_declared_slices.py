"""Slices that the recipe declares: values with enough rows have one of their own, the others are one together."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.recipe.task import OTHER
from pipeline.storage.declared_slices import FEWEST_ROWS, NO_VALUE, declared_slices

TEXTS = st.lists(
    st.tuples(
        st.sampled_from(["JFK", "EWR", "LGA", "", OTHER, NO_VALUE, "((none))", "a.b", "ü"]),
        st.integers(1, 2 * FEWEST_ROWS),
    ),
    max_size=9,
).map(lambda runs: [text for text, rows in runs for _ in range(rows)])


def test_values_with_few_rows_are_one_slice_together() -> None:
    texts = ["JFK"] * FEWEST_ROWS + ["EWR"] * (FEWEST_ROWS - 1) + [""] * FEWEST_ROWS + ["LGA"]
    found = declared_slices({"slice_origin": texts})
    assert list(found) == ["origin"]
    assert found["origin"].names == (NO_VALUE, "JFK", OTHER)
    assert Counter(found["origin"].number_of.tolist()) == {0: FEWEST_ROWS, 1: FEWEST_ROWS, 2: FEWEST_ROWS}


@given(TEXTS)
def test_every_row_is_in_one_slice_and_every_slice_has_rows(texts: list[str]) -> None:
    found = declared_slices({"slice_origin": texts})["origin"]
    assert len(found.number_of) == len(texts)
    assert set(found.number_of.tolist()) == set(range(len(found.names)))
    rows = Counter(found.names[number] for number in found.number_of)
    assert all(count >= FEWEST_ROWS for name, count in rows.items() if name != OTHER)
    for text, number in zip(texts, found.number_of.tolist(), strict=True):
        assert found.names[number] in (shown(text), OTHER)


def shown(text: str) -> str:
    return NO_VALUE if not text else f"({text})" if text.strip("()") in ("none", "other") else text


def test_a_value_that_is_called_like_no_value_or_like_the_rare_ones_is_a_slice_of_its_own() -> None:
    texts = [each for each in ("", NO_VALUE, OTHER, "((none))", "none", "(none") for _ in range(FEWEST_ROWS)]
    found = declared_slices({"slice_origin": [*texts, "rare"]})["origin"]
    assert found.names == ("(((none)))", "((none))", "((other))", "(none", NO_VALUE, "none", OTHER)
    assert set(Counter(found.number_of.tolist()).values()) == {FEWEST_ROWS, 1}


@pytest.mark.long
@given(TEXTS, st.randoms(use_true_random=False))
def test_the_order_of_rows_makes_no_difference(texts: list[str], random: Random) -> None:
    mixed = list(texts)
    random.shuffle(mixed)
    first, again = (declared_slices({"slice_a": each})["a"] for each in (texts, mixed))
    assert first.names == again.names
    assert sorted(first.number_of.tolist()) == sorted(again.number_of.tolist())
