"""What counts as a different answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline.export.parity import classes_of, compare

FLOATS = st.floats(-1e6, 1e6, width=32)


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 4)), elements=FLOATS))
def test_what_is_the_same_differs_by_nothing(answers: np.ndarray) -> None:
    assert compare(answers, answers, has_classes=True) == (0.0, 1.0)


@given(arrays.arrays(np.float32, (5, 1), elements=FLOATS), st.floats(0, 1e3, width=32))
def test_a_difference_is_told_by_the_size_of_the_number_where_that_is_above_one(
    answers: np.ndarray, gap: float
) -> None:
    found = compare(answers + np.float32(gap), answers, has_classes=False)
    sizes = np.maximum(1, np.abs(answers.astype(np.float64)))
    shifted = (answers + np.float32(gap)).astype(np.float64)
    assert found.largest_difference == pytest.approx(np.max(np.abs(shifted - answers) / sizes))
    assert found.agreement is None


def test_a_row_without_an_answer_has_none_in_both() -> None:
    none = np.array([[np.nan, np.nan], [0.25, 0.75]], np.float32)
    some = np.array([[0.5, 0.5], [0.25, 0.75]], np.float32)
    assert compare(none, none, has_classes=True) == (0.0, 1.0)
    assert compare(some, none, has_classes=True) == (np.inf, 0.5)
    assert compare(none, some, has_classes=True) == (np.inf, 0.5)


def test_answers_of_another_shape_agree_in_nothing() -> None:
    assert compare(np.zeros((2, 3), np.float32), np.zeros((2, 2), np.float32), has_classes=True) == (np.inf, 0.0)


def test_infinities_of_one_sign_are_the_same_and_others_are_not() -> None:
    one = np.array([[np.inf]], np.float32)
    assert compare(one, -one, has_classes=False).largest_difference == np.inf


def test_of_two_classes_the_second_begins_at_the_threshold() -> None:
    answers = np.array([[0.7, 0.3], [0.5, 0.5], [0.2, 0.8]], np.float32)
    assert classes_of(answers).tolist() == [0, 0, 1]
    assert classes_of(answers, 0.5).tolist() == [0, 0, 1]  # as the model was judged
    assert classes_of(answers, 0.3).tolist() == [1, 1, 1]
    assert compare(answers, answers[:, ::-1], has_classes=True, threshold=0.3).agreement == pytest.approx(2 / 3)
