"""Figures for people: in the words of their task, and without words where the task is not known."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pipeline.evaluation.tasks.classification import METRICS, PLOTS, Task
from pipeline.records.metrics import MetricsReport
from pipeline.report.measured import MeasuredSlice, known_kind, plots_of, primary, quality, task_of_run
from pipeline.report.run_files import read_run_files
from pipeline.report.sections import Section

FIGURES = {"rows": 4, **{metric.name: 0.25 for metric in METRICS}}
REPORT = MetricsReport(
    task="classification",
    primary="accuracy",
    test=FIGURES,
    train={**FIGURES, "accuracy": 0.5},
    overfit=0.25,
    slices={
        "class": {
            "cat": {"rows": 1, "precision": 0.1, "recall": 0.9, "f1": 0.2, "auc": 0.3},
            "dog": {"rows": 3, "recall": 0.5},
        }
    },
)
UNKNOWN = REPORT.changed(task="ranking")


def test_figures_stand_in_the_tasks_order_and_words_with_overfit_last() -> None:
    found = quality(REPORT)

    assert [figure.title for figure in found.figures] == [*(metric.title for metric in METRICS), "overfit"]
    assert (found.figures[0].test, found.figures[0].train, found.figures[0].words) == (0.25, 0.5, METRICS[0].words)
    assert found.figures[-1].train is None
    assert "nats a row" in next(figure.words for figure in found.figures if figure.title == "cross-entropy")
    assert (found.test_rows, found.train_rows) == (4, 4)


def test_the_primary_figure_is_named_by_the_task() -> None:
    assert (primary(REPORT).title, primary(REPORT).test) == ("accuracy", 0.25)


def test_the_worst_slice_comes_first_and_a_figure_that_it_lacks_is_none() -> None:
    [table] = quality(REPORT).tables

    assert (table.column, table.titles) == ("class", ("recall", "precision", "F1", "AUC"))
    assert table.slices == (
        MeasuredSlice("dog", 3, (0.5, None, None, None), 50.0),
        MeasuredSlice("cat", 1, (0.9, 0.1, 0.2, 0.3), 90.0),
    )


def test_a_figure_that_the_task_does_not_declare_is_shown_too() -> None:
    part = {**FIGURES, "top_5": 0.75}
    found = quality(REPORT.changed(test=part, train=part))

    assert [(figure.title, figure.words) for figure in found.figures][-2] == ("top 5", "")


def test_what_another_task_has_measured_is_shown_by_its_names() -> None:
    found = quality(UNKNOWN)

    assert [figure.title for figure in found.figures][:2] == ["accuracy", "macro precision"]
    assert all(figure.words == "" for figure in found.figures)
    assert found.tables[0].titles == ("precision", "recall", "f1", "auc")
    assert primary(UNKNOWN).title == "accuracy"


@pytest.mark.parametrize("name", [None, 3, "", "ranking", "../x", ["classification"]])
def test_what_is_no_task_has_no_words_but_those_for_the_learning_curves(name: object) -> None:
    assert known_kind(name) is None
    assert [plot.name for plot in plots_of(None)] == ["learning_curves"]


def test_the_task_of_a_run_is_that_of_its_metrics_or_else_that_of_its_recipe(whole_project: Path) -> None:
    files = read_run_files(whole_project)

    assert task_of_run(files) is Task
    assert task_of_run(dataclasses.replace(files, metrics=Section(None, "damaged"))) is Task
    assert task_of_run(dataclasses.replace(files, metrics=Section(UNKNOWN))) is None
    assert plots_of(Task)[1:] == PLOTS
