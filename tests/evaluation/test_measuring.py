"""What any task says of a candidate: figures of both parts and of the slices, tables and drawings."""

from __future__ import annotations

import math
from collections.abc import Iterator
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.errors import Bug, DataError
from pipeline.evaluation import measuring
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.tasks import classification
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import Task, task_of
from pipeline.records.metrics import MetricsReport
from tests.evaluation.made_answers import HISTORY, MadeAnswers
from tests.evaluation.made_task import made_task

LABELS = np.array([0, 1], np.int32)
TASK = task_of(Choice(name="classification"), ["a", "b"])


def one_hot(answers: list[int]) -> npt.NDArray[np.float32]:
    return np.eye(2, dtype=np.float32)[answers]


def predictions(answers: npt.NDArray[np.float32]) -> Predictions:
    return Predictions(["x", "y"], LABELS, answers)


@pytest.fixture
def report() -> MetricsReport:
    """A candidate that is perfect on the training part, and right on one of two test rows."""
    return measuring.report(TASK, predictions(one_hot([0, 1])), predictions(one_hot([0, 0])))


@pytest.fixture
def closeness() -> Iterator[Task]:
    with made_task() as name:
        yield task_of(Choice(name=name, settings={"reach": 0.5}), ["a", "b"])


def test_the_report_measures_both_parts(report: MetricsReport) -> None:
    assert (report.train["rows"], report.train["accuracy"]) == (2, 1)
    assert (report.test["rows"], report.test["accuracy"]) == (2, 0.5)
    assert (report.task, report.primary, report.primary_figure) == ("classification", "accuracy", 0.5)


def test_overfit_is_what_the_test_part_falls_behind_the_training_part(report: MetricsReport) -> None:
    assert report.overfit == 0.5


def test_overfit_is_above_zero_where_less_is_better_too(closeness: Task) -> None:
    found = measuring.report(
        closeness, predictions(np.array([0, 1.25], np.float32)), predictions(np.array([0, 3], np.float32))
    )

    assert (found.train["mean_error"], found.test["mean_error"], found.overfit) == (0.125, 1.0, 0.875)


def test_a_slice_has_its_rows_and_figures_of_the_test_part(report: MetricsReport) -> None:
    assert {name: one["recall"] for name, one in report.slices["class"].items()} == {"a": 1, "b": 0}
    assert list(report.slices["class"]["a"]) == ["rows", "recall", "precision", "f1", "auc"]
    assert report.slices["class"]["a"]["rows"] == 1


def test_figures_stand_in_the_order_of_their_declaration(report: MetricsReport) -> None:
    assert list(report.test) == ["rows", *(metric.name for metric in classification.METRICS)]


def test_a_task_without_slices_reports_none(closeness: Task) -> None:
    given = predictions(np.array([0, 1], np.float32))

    assert measuring.report(closeness, given, given).slices == {}


def test_predictions_that_cannot_be_measured_are_refused_with_their_part() -> None:
    with pytest.raises(DataError, match=r"^test part: the model answers with shape \[2, 1\], expected \[2, 2\]"):
        measuring.check(TASK, predictions(np.ones((2, 1), np.float32)), "test")


@pytest.mark.parametrize("figures", [{}, {"mean_error": 1.0}, {"mean_error": 1.0, "within": 1.0, "luck": 1.0}])
def test_a_task_that_does_not_measure_what_it_declares_is_a_bug(
    closeness: Task, monkeypatch: pytest.MonkeyPatch, figures: dict[str, float]
) -> None:
    monkeypatch.setattr(closeness, "measure", lambda *_: figures)

    with pytest.raises(Bug, match="declared are mean_error, within"):
        measuring.report(closeness, predictions(np.zeros(2, np.float32)), predictions(np.zeros(2, np.float32)))


@pytest.mark.parametrize("figure", [math.nan, math.inf])
def test_a_figure_that_is_not_finite_is_a_bug(closeness: Task, monkeypatch: pytest.MonkeyPatch, figure: float) -> None:
    monkeypatch.setattr(closeness, "measure", lambda *_: {"mean_error": figure, "within": 1.0})

    with pytest.raises(Bug, match="task closeness: mean_error is"):
        measuring.report(closeness, predictions(np.zeros(2, np.float32)), predictions(np.zeros(2, np.float32)))


@pytest.mark.long
def test_everything_shown_is_a_table_for_dvc_and_a_drawing_for_the_page(answers: MadeAnswers) -> None:
    tables = measuring.tables(answers.task, HISTORY, answers.predictions)
    drawings = measuring.drawings(answers.task, HISTORY, answers.predictions)

    names = ["calibration", "confusion", "learning_curves", "precision_recall", "roc"]
    assert sorted(tables) == [f"{name}.csv" for name in names]
    assert sorted(drawings) == [f"{name}.svg" for name in names]
    assert {ElementTree.fromstring(drawn).tag for drawn in drawings.values()} == {"{http://www.w3.org/2000/svg}svg"}
    assert len(set(drawings.values())) == len(names)


def test_a_task_without_drawings_still_has_its_learning_curves(closeness: Task) -> None:
    given = predictions(np.array([0, 1], np.float32))

    assert list(measuring.tables(closeness, HISTORY, given)) == ["learning_curves.csv"]
    assert list(measuring.drawings(closeness, HISTORY, given)) == ["learning_curves.svg"]


def test_a_task_that_does_not_draw_what_it_declares_is_a_bug(
    answers: MadeAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = answers.task
    monkeypatch.setattr(task, "drawings", lambda *_: {"roc.svg": b""})

    with pytest.raises(Bug, match=r"task classification draws roc\.svg, not what it declares"):
        measuring.drawings(task, HISTORY, answers.predictions)


def test_the_test_part_is_measured_without_the_rows_that_look_like_a_training_row() -> None:
    labels, answers = np.array([0, 1, 0, 1], np.int32), one_hot([0, 0, 0, 1])
    test = Predictions(list("wxyz"), labels, answers)
    report = measuring.report(TASK, test, test, [1])
    assert (
        report.without_near_duplicates
        == measuring.report(TASK, test, Predictions(list("wyz"), labels[[0, 2, 3]], answers[[0, 2, 3]])).test
    )
    assert report.test["accuracy"] == 0.75
    assert measuring.report(TASK, test, test, []).without_near_duplicates == report.test


@pytest.mark.parametrize("near", [None, [1, 3], [0, 1, 2, 3]])
def test_where_it_is_not_known_or_a_class_has_no_other_row_nothing_is_said_of_the_others(
    near: list[int] | None,
) -> None:
    labels = np.array([0, 1, 0, 1], np.int32)
    test = Predictions(list("wxyz"), labels, one_hot(labels.tolist()))
    assert measuring.report(TASK, test, test, near).without_near_duplicates is None
