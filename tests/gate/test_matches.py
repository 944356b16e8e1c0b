"""Scores of several models on the same rows, and the rows of a slice."""

from __future__ import annotations

import numpy as np

from pipeline.gate.matches import Matches, Scored
from pipeline.gate.paired import Counts
from pipeline.recipe.task import Slices
from tests.gate.given import ANCHOR, CHAMPION

MATCHES = Matches(
    np.array([1.0, 1, 0, 0, 1]),
    Scored(CHAMPION, np.array([0.0, 1, 1, 0, 0])),
    Scored(ANCHOR, np.array([0.0, 0, 0, 0, 1])),
    {"class": Slices(("cat", "dog", "bird"), np.array([0, 1, 1, 0, 1]))},
    1,
)


def test_rows_are_counted_against_the_champion_and_against_the_anchor() -> None:
    assert MATCHES.with_champion == Counts(5, won=2, lost=1)
    assert MATCHES.with_anchor == Counts(5, won=2, lost=0)


def test_a_slice_has_its_own_rows() -> None:
    assert MATCHES.of_slice("class", "cat").tolist() == [True, False, False, True, False]
    assert MATCHES.of_slice("class", "dog").tolist() == [False, True, True, False, True]
    assert not MATCHES.of_slice("class", "bird").any()
