"""The threshold of two classes: no other one is better on the rows it was chosen on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from pipeline.errors import UsageError
from pipeline.evaluation.classification.metrics import predicted
from pipeline.evaluation.classification.threshold import By, choose
from pipeline.evaluation.tasks import classification
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import validate
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import task_of
from tests.evaluation.recipes import recipe

ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=1, max_size=40)


def rows_of(pairs: list[tuple[int, int]]) -> tuple[Any, Any]:
    """Labels of both classes, and probabilities on a grid."""
    labels, twentieths = np.array([*pairs, (0, 3), (1, 17)]).T
    second = (twentieths / 20).astype(np.float32)
    return labels.astype(np.int32), np.stack([1 - second, second], axis=1)


def figure(by: By, labels: Any, answers: Any) -> float:
    if by == "f1":
        return float(reference.f1_score(labels, answers, zero_division=0.0))
    return float(reference.recall_score(labels, answers) - answers[labels == 0].mean())


@pytest.mark.long
@given(ROWS, st.sampled_from(["f1", "youden"]))
def test_no_threshold_between_two_probabilities_is_better(pairs: list[tuple[int, int]], by: By) -> None:
    labels, probabilities = rows_of(pairs)
    chosen = choose(labels, probabilities, by)
    assert not (probabilities[:, 1] == chosen).any()
    best = figure(by, labels, predicted(probabilities, chosen))
    levels = np.unique(probabilities[:, 1].astype(np.float64))
    for other in (levels[:-1] + levels[1:]) / 2:
        assert figure(by, labels, predicted(probabilities, other)) <= best + 1e-12


def test_of_several_that_are_as_good_the_nearest_to_one_half_is_taken() -> None:
    labels, second = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.9, 0.95])
    assert choose(labels, np.stack([1 - second, second], axis=1), "f1") == pytest.approx(0.55)
    same = np.full((4, 2), 0.5)
    assert choose(labels, same, "youden") == 0.5


def test_at_one_half_the_more_probable_class_is_taken_as_without_a_threshold() -> None:
    probabilities = np.array([[0.5, 0.5], [0.4, 0.6], [0.6, 0.4]], np.float32)
    assert predicted(probabilities).tolist() == [0, 1, 0]
    assert predicted(probabilities, 0.4).tolist() == [1, 1, 1]


def learning(**settings: Any) -> classification.Task:
    found = task_of(Choice(name="classification", settings={"threshold": "validation", **settings}), ("ham", "spam"))
    assert isinstance(found, classification.Task)
    return found


def test_a_task_measures_by_what_it_has_learned_and_the_one_it_came_from_does_not() -> None:
    task = learning()
    labels, second = np.array([0, 0, 1, 1], np.int32), np.array([0.05, 0.1, 0.2, 0.4], np.float32)
    probabilities = np.stack([1 - second, second], axis=1)
    assert task.learns
    learned = task.with_learned(task.learn(labels, probabilities))
    assert learned.learned == {"threshold": pytest.approx(0.15)}
    assert learned.measure(labels, probabilities)["accuracy"] == 1.0
    assert learned.score(labels, probabilities).tolist() == [1, 1, 1, 1]
    of_recall = learned.row_values(labels, probabilities).of_slice("class", "spam", "recall")
    assert of_recall is not None
    assert of_recall.tolist() == [1, 1]
    assert learned.mistakes(["a", "b", "c", "d"], labels, probabilities, 5).worst == ()
    assert task.measure(labels, probabilities)["accuracy"] == 0.5
    assert (task.learned, task.threshold) == ({}, 0.5)
    for untouched in ("auc", "cross_entropy", "calibration_error"):
        assert learned.measure(labels, probabilities)[untouched] == task.measure(labels, probabilities)[untouched]


def test_a_threshold_may_be_given_for_two_classes_alone() -> None:
    given = validate(Recipe, recipe(), "params")
    for value in (0.3, "validation"):
        settings = classification.Settings.model_validate({"threshold": value})
        classification.check(settings, given)
        data = given.data.model_copy(update={"classes": ("a", "b", "c")})
        with pytest.raises(UsageError, match=r"threshold: tells two classes apart, and data\.classes names 3"):
            classification.check(settings, given.model_copy(update={"data": data}))
    assert not learning(threshold=0.3).learns
    assert learning(threshold=0.3).threshold == 0.3
