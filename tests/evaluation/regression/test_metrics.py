"""Figures of predicted numbers, held against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from pipeline.errors import DataError
from pipeline.evaluation.regression.metrics import check_answers, measure

NUMBERS = st.lists(st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000)), min_size=2, max_size=60)


@given(NUMBERS)
def test_figures_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    labels, answers = np.array(pairs, np.float64).T
    found = measure(labels, answers.astype(np.float32)[:, None])
    assert found["mae"] == pytest.approx(reference.mean_absolute_error(labels, answers))
    assert found["mse"] == pytest.approx(reference.mean_squared_error(labels, answers))
    assert found["rmse"] == pytest.approx(reference.root_mean_squared_error(labels, answers))
    assert found["bias"] == pytest.approx(abs((answers - labels).mean()))
    if np.ptp(labels):
        assert found["r2"] == pytest.approx(reference.r2_score(labels, answers))


def test_a_truth_that_never_varies_has_no_variance_to_explain() -> None:
    assert measure(np.full(3, 7.0), np.full((3, 1), 7.0, np.float32))["r2"] == 0.0


@pytest.mark.parametrize(
    ("labels", "answers", "said"),
    [
        ([], [[]], "there are no rows"),
        ([1.0, 2.0], [[1.0, 2.0], [3.0, 4.0]], r"answers with shape \[2, 2\], expected \[2, 1\]"),
        ([1.0, 2.0], [[1.0]], r"answers with shape \[1, 1\], expected \[2, 1\]"),
        ([1.0, np.nan], [[1.0], [1.0]], "the label of row 1 is nan, not a number; see clean"),
        ([1.0, 2.0], [[np.inf], [1.0]], "the model's answer of row 0 is inf, not a number; its weights are damaged"),
    ],
)
def test_what_cannot_be_measured_is_refused(labels: list[float], answers: list[list[float]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        check_answers(np.array(labels), np.array(answers, np.float32))
