"""TF-IDF is what scikit-learn computes, row by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.tf_idf import inverse_frequencies, weighted

ROWS = st.lists(st.lists(st.integers(0, 5), max_size=20), min_size=1, max_size=8)


@given(ROWS)
def test_weights_are_those_of_scikit_learn(rows: list[list[int]]) -> None:
    from sklearn.feature_extraction.text import TfidfTransformer

    counts = np.array([np.bincount(row, minlength=6) for row in rows])
    frequencies = (counts > 0).sum(axis=0).tolist()

    found = weighted(rows, np.array(inverse_frequencies(len(rows), frequencies)), 6)

    assert found.dtype == np.float32
    assert found == pytest.approx(TfidfTransformer().fit_transform(counts).toarray(), abs=1e-6)


@given(ROWS)
def test_a_row_depends_on_itself_alone(rows: list[list[int]]) -> None:
    weights = np.array([1.0, 2.0, 1.5, 3.25, 1.1, 1.7])
    alone = np.concatenate([weighted([row], weights, 9) for row in rows])
    assert weighted(rows, weights, 9).tobytes() == alone.tobytes()


def test_a_row_without_terms_is_all_0_and_so_is_what_is_wider_than_the_vocabulary() -> None:
    found = weighted([[], [1, 1]], np.array([1.0, 2.0]), 4)
    assert found.tolist() == [[0, 0, 0, 0], [0, 1, 0, 0]]
