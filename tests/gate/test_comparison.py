"""The paired bootstrap: what it must never get wrong, and that drawing numbers of differences is drawing rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from pipeline.gate import comparison
from pipeline.gate.comparison import Difference, compare, compare_slices
from pipeline.recipe.task import Slices

RULE = {"confidence": 0.95, "resamples": 500}
answers = npst.arrays(np.float64, st.integers(1, 200), elements=st.sampled_from([0.0, 1.0]))
some_scores = npst.arrays(np.float64, st.integers(1, 60), elements=st.floats(-100, 100))


def by_counts_of_three(candidate, champion, *, confidence, resamples, seed) -> Difference:
    """How answers that are right or wrong were compared before there were other scores."""
    rows = len(candidate)
    won, lost = int(((candidate == 1) & (champion == 0)).sum()), int(((candidate == 0) & (champion == 1)).sum())
    drawn = np.random.default_rng(seed).multinomial(
        rows, np.array([won, lost, rows - won - lost]) / rows, size=resamples
    )
    differences = np.sort(drawn[:, 0] - drawn[:, 1])
    lower = int(differences[max(int((1 - confidence) * (resamples + 1)), 1) - 1])
    return Difference(rows, won, lost, (won - lost) / rows, min(lower, won - lost) / rows)


@given(answers, st.data())
def test_right_and_wrong_answers_are_compared_as_ever(candidate, data):
    champion = data.draw(npst.arrays(np.float64, len(candidate), elements=st.sampled_from([0.0, 1.0])))
    assert compare(candidate, champion, seed=(1, 0), **RULE) == by_counts_of_three(
        candidate, champion, seed=(1, 0), **RULE
    )


@given(some_scores, st.data())
def test_any_scores_have_a_limit_below_the_mean_difference(candidate, data):
    champion = data.draw(npst.arrays(np.float64, len(candidate), elements=st.floats(-100, 100)))
    found = compare(candidate, champion, seed=(1, 0), **RULE)
    assert (candidate - champion).min() - 1e-9 <= found.lower <= found.difference
    assert found.difference == pytest.approx((candidate - champion).mean())


@pytest.mark.long
def test_drawing_numbers_of_distinct_differences_is_drawing_rows():
    rng = np.random.default_rng(4)
    champion, candidate = rng.normal(size=(2, 300))
    drawn = rng.integers(0, 300, (20_000, 300))
    by_rows = np.quantile((candidate - champion)[drawn].mean(axis=1), 0.05)
    found = compare(candidate, champion, seed=(1, 0), confidence=0.95, resamples=20_000)
    assert found.lower == pytest.approx(by_rows, abs=0.005)


def test_the_limit_does_not_depend_on_how_many_resamples_are_drawn_at_once(monkeypatch):
    champion, candidate = np.random.default_rng(4).normal(size=(2, 300))
    whole = compare(candidate, champion, seed=(1, 0), **RULE)
    monkeypatch.setattr(comparison, "_DRAWN_AT_ONCE", 1000)
    assert compare(candidate, champion, seed=(1, 0), **RULE) == whole


@pytest.mark.parametrize("figure", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(figure):
    with pytest.raises(ValueError, match="some scores are not finite"):
        compare(np.array([0.0, figure]), np.zeros(2), seed=(1, 0), **RULE)


@given(answers)
def test_identical_answers_differ_by_nothing(right):
    found = compare(right, right, seed=(1, 0), **RULE)
    assert (found.difference, found.lower) == (0.0, 0.0)


@given(answers, st.data())
def test_the_limit_is_never_above_the_difference(candidate, data):
    champion = data.draw(npst.arrays(np.float64, len(candidate), elements=st.sampled_from([0.0, 1.0])))
    found = compare(candidate, champion, seed=(1, 0), **RULE)
    assert -1 <= found.lower <= found.difference <= 1
    assert found.difference == pytest.approx(candidate.mean() - champion.mean())


@given(answers, st.data())
def test_a_worse_candidate_is_below_zero(candidate, data):
    more = data.draw(npst.arrays(np.float64, len(candidate), elements=st.sampled_from([0.0, 1.0])))
    champion = np.maximum(candidate, more)
    champion[0], candidate[0] = 1.0, 0.0
    assert compare(candidate, champion, seed=(1, 0), **RULE).lower < 0


def test_the_same_seed_gives_the_same_limit():
    right = np.random.default_rng(5).random((2, 1000)).round()
    assert compare(right[0], right[1], seed=(7, 0), **RULE) == compare(right[0], right[1], seed=(7, 0), **RULE)


@pytest.mark.long
def test_drawing_counts_is_drawing_rows():
    rng = np.random.default_rng(3)
    champion = (rng.random(800) < 0.85).astype(float)
    candidate = np.where(rng.random(800) < 0.1, 1 - champion, champion)
    drawn = rng.integers(0, 800, (20_000, 800))
    by_rows = np.quantile((candidate[drawn].mean(axis=1) - champion[drawn].mean(axis=1)), 0.05)
    by_counts = compare(candidate, champion, seed=(1, 0), confidence=0.95, resamples=20_000).lower
    assert by_counts == pytest.approx(by_rows, abs=1.5 / 800)  # one row, and the noise of 20 000 resamples


def test_the_limit_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(11)
    held = 0
    for trial in range(400):
        champion, candidate = (rng.random(600) < 0.9).astype(float), (rng.random(600) < 0.88).astype(float)
        held += compare(candidate, champion, seed=(trial, 0), **RULE).lower <= -0.02
    assert 0.91 < held / 400 < 0.99


def test_without_rows_nothing_is_known():
    none = np.empty(0)
    found = compare(none, none, seed=(1, 0), **RULE)
    assert found.rows == 0
    assert np.isnan(found.lower)


def test_answers_of_different_length_are_refused():
    with pytest.raises(ValueError, match="3 rows of one, 2 of the other"):
        compare(np.ones(3), np.ones(2), seed=(1, 0), **RULE)


def test_a_slice_is_compared_on_its_own_rows_only():
    slices = {"class": Slices(("a", "b", "c"), np.array([0, 0, 1, 1, 1])), "half": Slices(("x",), np.zeros(5, int))}
    candidate, champion = np.array([1.0, 1, 0, 0, 0]), np.array([0.0, 0, 1, 1, 1])
    found = compare_slices(slices, candidate, champion, seed=1, **RULE)
    won, lost, absent = found["class"].values()
    assert (won.rows, won.difference, won.lower) == (2, 1.0, 1.0)
    assert (lost.rows, lost.difference, lost.lower) == (3, -1.0, -1.0)
    assert absent.rows == 0
    assert found["half"]["x"] == compare(candidate, champion, seed=(1, 4), **RULE)  # a stream of its own


@pytest.mark.parametrize("confidence", [0.501, 0.99999])
def test_any_confidence_has_a_limit(confidence):
    right = np.random.default_rng(5).random((2, 50)).round()
    found = compare(right[0], right[1], seed=(1, 0), confidence=confidence, resamples=100)
    assert -1 <= found.lower <= found.difference


def test_each_slice_of_each_column_has_a_stream_of_its_own():
    generator = np.random.default_rng(1)
    candidate, champion = generator.normal(size=(2, 60))
    thirds = np.arange(60) % 3
    slices = {
        "class": Slices(("a", "b"), (thirds > 0).astype(int)),
        "size": Slices(("x", "y", "z"), thirds),
        "all": Slices(("w",), np.zeros(60, int)),
    }
    found = compare_slices(slices, candidate, champion, seed=9, **RULE)
    streams = {
        ("class", "a"): 1,
        ("class", "b"): 2,
        ("size", "x"): 3,
        ("size", "y"): 4,
        ("size", "z"): 5,
        ("all", "w"): 6,
    }
    for (column, name), stream in streams.items():
        rows = slices[column].number_of == slices[column].names.index(name)
        assert found[column][name] == compare(candidate[rows], champion[rows], seed=(9, stream), **RULE)


def test_another_seed_or_stream_draws_other_resamples():
    candidate, champion = np.random.default_rng(1).normal(size=(2, 60))
    limits = {compare(candidate, champion, seed=seed, **RULE).lower for seed in ((1, 0), (2, 0), (1, 1))}
    assert len(limits) == 3


def test_what_was_found_says_which_rows_were_won_and_lost():
    found = compare(np.array([1.0, 0.5, 0.0, 0.2]), np.array([0.0, 0.0, 0.5, 0.2]), seed=(1, 0), **RULE)
    assert (found.rows, found.won, found.lost) == (4, 2, 1)
    assert found.difference == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("resamples", "confidence", "rank"), [(500, 0.95, 25), (39, 0.95, 2), (10, 0.95, 1), (100, 0.9, 10)]
)
def test_the_limit_is_the_rank_th_smallest_of_the_resamples(resamples, confidence, rank):
    candidate, champion = np.random.default_rng(1).normal(size=(2, 60))
    sums = np.sort(np.concatenate(list(comparison._resampled_sums(candidate - champion, resamples, (1, 0)))))
    found = compare(candidate, champion, seed=(1, 0), confidence=confidence, resamples=resamples)
    assert len(sums) == resamples
    assert found.lower == min(sums[rank - 1] / 60, found.difference)


def test_without_rows_there_is_no_difference_either():
    found = compare(np.empty(0), np.empty(0), seed=(1, 0), **RULE)
    assert (found.won, found.lost) == (0, 0)
    assert np.isnan(found.difference)
