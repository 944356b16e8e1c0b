"""Neighbours change places, each term once at most; padding stays at the end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.augmentation.counter_random import row_keys
from pipeline.augmentation.steps import word_swap
from pipeline.augmentation.steps.word_swap import Settings, change
from tests.ranges import assert_ranges

MANY = row_keys([f"row {n}" for n in range(4000)], 1)


@given(st.integers(1, 9), st.integers(0, 9), st.floats(0, 1), st.integers(0, 5))
def test_a_text_keeps_its_terms_none_goes_further_than_one_place_and_padding_stays(length, terms, probability, seed):
    terms = min(terms, length)
    text = np.array([[*range(2, 2 + terms), *[0] * (length - terms)]], np.int32)
    before = text.copy()

    [changed] = change(text, row_keys(["row"], seed), Settings(probability=probability))

    assert np.array_equal(text, before)
    assert sorted(changed[:terms].tolist()) == list(range(2, 2 + terms))
    assert (changed[terms:] == 0).all()
    assert (np.abs(changed[:terms] - text[0, :terms]) <= 1).all()


@pytest.mark.parametrize("length", [8, 9])
def test_every_two_neighbours_change_places_equally_often(length):
    texts = np.tile(np.arange(2, 2 + length, dtype=np.int32), (4000, 1))
    changed = change(texts, MANY, Settings(probability=0.5))

    swapped = (changed[:, :-1] == texts[:, 1:]) & (changed[:, 1:] == texts[:, :-1])
    assert swapped.mean(axis=0) == pytest.approx(np.full(length - 1, 0.25), abs=0.03)  # half begin elsewhere


def test_nothing_to_swap_is_the_very_same_array():
    texts = np.arange(8, dtype=np.int32).reshape(2, 4)
    assert change(texts, MANY[:2], Settings(probability=0.0)) is texts


def test_the_settings_and_their_ranges():
    assert word_swap.KINDS == ("text",)
    assert_ranges(Settings, {}, probability=(0.0, 1.0, -1e-9, 1.001))
