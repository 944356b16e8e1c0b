"""What a task says of a candidate's predictions: metrics for the gate, tables for DVC and drawings for the page.

The metrics are those of the training and the test part; tables and drawings are of `predictions.SHOWN_PART`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.errors import Bug, DataError
from pipeline.evaluation import learning_curves
from pipeline.evaluation.predictions import Predictions
from pipeline.recipe.task import Metric, Task
from pipeline.records.metrics import ROWS, MetricsReport
from pipeline.records.training_history import History
from pipeline.storage.declared_slices import declared_slices


def check(task: Task, predictions: Predictions, part: str) -> None:
    """Raise DataError, naming the part, unless its predictions can be measured."""
    try:
        task.check_answers(predictions.labels, predictions.answers)
    except DataError as error:
        raise DataError(f"{part} part: {error}") from error


def report(task: Task, train: Predictions, test: Predictions, near: Sequence[int] | None = None) -> MetricsReport:
    """Return the content of `reports/metrics.json`, from predictions that have passed `check`.

    `near` are the test rows that look like a training row, None if that is not known.
    """
    of_train, of_test = _measured(task, train), _measured(task, test)
    primary = task.metrics[0]
    lead = of_train[primary.name] - of_test[primary.name]
    return MetricsReport(
        task=task.name,
        primary=primary.name,
        test=of_test,
        train=of_train,
        overfit=lead if primary.is_higher_better else -lead,
        slices=_measured_slices(task, test),
        without_near_duplicates=None if near is None else _measured_without(task, test, near),
        units={metric.name: metric.unit for metric in task.metrics if metric.unit},
        learned=task.learned,
    )


def tables(task: Task, history: History, shown: Predictions) -> dict[str, bytes]:
    """Return the CSV files behind `dvc plots show`, by file name."""
    own = task.tables(shown.labels, shown.answers)
    return {f"{learning_curves.LEARNING_CURVES}.csv": learning_curves.table(history), **own}


def drawings(task: Task, history: History, shown: Predictions) -> dict[str, bytes]:
    """Return the SVG files of the page, by file name."""
    own = task.drawings(shown.labels, shown.answers)
    if set(own) != {f"{plot.name}.svg" for plot in task.plots}:
        raise Bug(f"task {task.name} draws {', '.join(sorted(own))}, not what it declares in plots")
    return {f"{learning_curves.LEARNING_CURVES}.svg": learning_curves.drawing(history), **own}


def _measured(task: Task, predictions: Predictions) -> dict[str, float | int]:
    figures = task.measure(predictions.labels, predictions.answers)
    return {ROWS: len(predictions.labels), **_checked(task, figures, task.metrics)}


def _measured_without(task: Task, predictions: Predictions, left_out: Sequence[int]) -> dict[str, float | int] | None:
    """Return what is measured without some rows; None if nothing can be said about the others."""
    is_kept = np.ones(len(predictions.labels), np.bool_)
    is_kept[np.asarray(left_out, np.int64)] = False
    ids = [row_id for row_id, kept in zip(predictions.ids, is_kept.tolist(), strict=True) if kept]
    others = Predictions(ids, predictions.labels[is_kept], predictions.answers[is_kept])  # slices are of all rows
    try:
        task.check_answers(others.labels, others.answers)
    except DataError:
        return None
    return _measured(task, others)


def _measured_slices(task: Task, test: Predictions) -> dict[str, dict[str, dict[str, float | int]]]:
    declared = declared_slices(test.slices)
    measured = task.measure_slices(test.labels, test.answers, declared)
    slices = task.slices(test.labels, declared)
    if measured.keys() != slices.keys():
        raise Bug(
            f"task {task.name} measures slices of {list(measured)}, not of those that it declares: {list(slices)}"
        )
    found: dict[str, dict[str, dict[str, float | int]]] = {}
    for column, divided in slices.items():
        rows = np.bincount(divided.number_of, minlength=len(divided.names)).tolist()
        found[column] = {
            name: {ROWS: number, **_checked(task, measured[column][name], task.metrics_of(column))}
            for name, number in zip(divided.names, rows, strict=True)
        }
    return found


def _checked(task: Task, figures: Mapping[str, float], metrics: tuple[Metric, ...]) -> dict[str, float]:
    """Return figures in the order of their declaration; raise Bug unless they are those declared, and finite."""
    names = [metric.name for metric in metrics]
    if set(figures) != set(names):
        raise Bug(f"task {task.name} measures {', '.join(figures)}, declared are {', '.join(names)}")
    for name, value in figures.items():
        if not math.isfinite(value):
            raise Bug(f"task {task.name}: {name} is {value}: a metric says what it is where it is undefined")
    return {name: float(figures[name]) for name in names}
