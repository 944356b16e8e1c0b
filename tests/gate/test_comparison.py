"""The paired bootstrap: what it must never get wrong, and that the counts stand for the rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from pipeline.gate.comparison import compare, compare_recalls

RULE = {"confidence": 0.95, "resamples": 500}
answers = npst.arrays(np.bool_, st.integers(1, 200))


@given(answers)
def test_identical_answers_differ_by_nothing(right):
    found = compare(right, right, seed=(1, 0), **RULE)
    assert (found.difference, found.lower) == (0.0, 0.0)


@given(answers, st.data())
def test_the_limit_is_never_above_the_difference(candidate, data):
    champion = data.draw(npst.arrays(np.bool_, len(candidate)))
    found = compare(candidate, champion, seed=(1, 0), **RULE)
    assert -1 <= found.lower <= found.difference <= 1
    assert found.difference == pytest.approx(candidate.mean() - champion.mean())


@given(answers, st.data())
def test_a_worse_candidate_is_below_zero(candidate, data):
    champion = candidate | data.draw(npst.arrays(np.bool_, len(candidate)))
    champion[0], candidate[0] = True, False
    assert compare(candidate, champion, seed=(1, 0), **RULE).lower < 0


def test_the_same_seed_gives_the_same_limit():
    right = np.random.default_rng(5).random((2, 1000)) < 0.8
    assert compare(right[0], right[1], seed=(7, 0), **RULE) == compare(right[0], right[1], seed=(7, 0), **RULE)


def test_drawing_counts_is_drawing_rows():
    rng = np.random.default_rng(3)
    champion = rng.random(800) < 0.85
    candidate = np.where(rng.random(800) < 0.1, ~champion, champion)
    drawn = rng.integers(0, 800, (20_000, 800))
    by_rows = np.quantile((candidate[drawn].mean(axis=1) - champion[drawn].mean(axis=1)), 0.05)
    by_counts = compare(candidate, champion, seed=(1, 0), confidence=0.95, resamples=20_000).lower
    assert by_counts == pytest.approx(by_rows, abs=1.5 / 800)  # one row, and the noise of 20 000 resamples


def test_the_limit_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(11)
    held = 0
    for trial in range(400):
        champion, candidate = rng.random(600) < 0.9, rng.random(600) < 0.88
        held += compare(candidate, champion, seed=(trial, 0), **RULE).lower <= -0.02
    assert 0.91 < held / 400 < 0.99


def test_without_rows_nothing_is_known():
    none = np.empty(0, bool)
    found = compare(none, none, seed=(1, 0), **RULE)
    assert found.rows == 0
    assert np.isnan(found.lower)


def test_answers_of_different_length_are_refused():
    with pytest.raises(ValueError, match="3 rows of one, 2 of the other"):
        compare(np.ones(3, bool), np.ones(2, bool), seed=(1, 0), **RULE)


def test_a_class_is_compared_on_its_own_rows_only():
    labels = np.array([0, 0, 1, 1, 1], np.int32)
    candidate = np.array([True, True, False, False, False])
    champion = np.array([False, False, True, True, True])
    won, lost, absent = compare_recalls(labels, candidate, champion, classes=3, seed=1, **RULE)
    assert (won.rows, won.difference, won.lower) == (2, 1.0, 1.0)
    assert (lost.rows, lost.difference, lost.lower) == (3, -1.0, -1.0)
    assert absent.rows == 0


@pytest.mark.parametrize("confidence", [0.501, 0.99999])
def test_any_confidence_has_a_limit(confidence):
    right = np.random.default_rng(5).random((2, 50)) < 0.8
    found = compare(right[0], right[1], seed=(1, 0), confidence=confidence, resamples=100)
    assert -1 <= found.lower <= found.difference
