"""Where a classifier errs, in words."""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.classification.mistakes import common_confusions, find, worst_mistakes

CLASSES = ["a", "b", "c"]
IDS = ["r0", "r1", "r2", "r3", "r4"]
LABELS = np.array([0, 1, 2, 0, 1], np.int32)
PROBABILITIES = np.array([[0.9, 0.1, 0], [0.6, 0.4, 0], [0.8, 0.1, 0.1], [0.4, 0.6, 0], [0.7, 0.3, 0]], np.float32)
PERFECT = np.eye(3, dtype=np.float32)[LABELS]


def test_the_surest_wrong_answers_come_first() -> None:
    found = worst_mistakes(IDS, LABELS, PROBABILITIES, CLASSES, 3)

    assert [(IDS[one.row], one.truth, one.answer) for one in found] == [
        ("r2", "c", "a"),
        ("r4", "b", "a"),
        ("r1", "b", "a"),
    ]
    assert found[0].figure == "0.800"
    assert [one.row for one in worst_mistakes(IDS, LABELS, PROBABILITIES, CLASSES, 10)] == [2, 4, 1, 3]


def test_equally_sure_ones_come_by_their_id() -> None:
    same = np.tile(np.array([[0.1, 0.1, 0.8]], np.float32), (5, 1))

    found = worst_mistakes(["e", "d", "x", "b", "a"], LABELS, same, CLASSES, 9)

    assert [one.row for one in found] == [4, 3, 1, 0]


def test_confused_pairs_are_counted_and_the_commonest_comes_first() -> None:
    found = common_confusions(LABELS, PROBABILITIES.argmax(axis=1), CLASSES, 2)

    assert found is not None
    assert found.rows[0] == ("b", "a", 2, "100.0 %")
    assert len(found.rows) == 2
    every = common_confusions(LABELS, PROBABILITIES.argmax(axis=1), CLASSES, 9)
    assert every is not None
    assert len(every.rows) == 3  # pairs that never happened are not shown


def test_a_model_without_mistakes_has_none() -> None:
    found = find(IDS, LABELS, PERFECT, CLASSES, 5)

    assert (found.worst, found.table) == ((), None)
    assert found.sentence == "0 of 5 validation rows are classified wrongly."


def test_the_wrong_rows_are_counted_whatever_is_shown_of_them() -> None:
    found = find(IDS, LABELS, PROBABILITIES, CLASSES, 2)

    assert found.sentence == "4 of 5 validation rows are classified wrongly."
    assert len(found.worst) == 2
    assert found.words.startswith("The 2 validation rows")
