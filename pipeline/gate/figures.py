"""The candidate's metrics, measured again from its predictions; the metrics' file is held against them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.gate.evidence import Answers, Unknown
from pipeline.recipe.task import Metric, Task
from pipeline.records.metrics import ROWS, MetricsReport

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A metric as the predictions have it, and its values by row; None if the task has none for it."""

    value: float
    rows: Values | None


@dataclass(frozen=True)
class Figures:
    """The metrics of both parts by name, and those of the test part's slices by column, value and name."""

    test: Mapping[str, Figure]
    test_rows: int
    train: Mapping[str, Figure]
    train_rows: int
    slices: Mapping[str, Mapping[str, Mapping[str, Figure]]]
    slice_rows: Mapping[str, Mapping[str, int]]
    primary: Metric

    @property
    def overfit(self) -> float:
        """How far the primary metric is worse on the test part than on the training part."""
        lead = self.train[self.primary.name].value - self.test[self.primary.name].value
        return lead if self.primary.is_higher_better else -lead


def measure(test: Answers, train: Answers, task: Task) -> Figures:
    """Return every metric that the task declares. The answers must be such as the task can measure."""
    slices = task.slices(test.labels)
    return Figures(
        test=_of_part(test, task),
        test_rows=len(test.labels),
        train=_of_part(train, task),
        train_rows=len(train.labels),
        slices=_of_slices(test, task),
        slice_rows={
            column: dict(
                zip(divided.names, np.bincount(divided.number_of, minlength=len(divided.names)).tolist(), strict=True)
            )
            for column, divided in slices.items()
        },
        primary=task.metrics[0],
    )


def metrics_problem(metrics: MetricsReport | Unknown, figures: Figures, task: Task) -> str | None:
    """Return why the metrics' file cannot be that of the predictions; None if it has every figure as they have it."""
    if isinstance(metrics, Unknown):
        return f"the metrics are not known: {metrics.why}"
    if metrics.task != task.name:
        return f"the metrics are those of another task: {metrics.task:.120}"
    of_task, of_slices = task.metrics, task.slice_metrics
    parts = [
        ("test", metrics.test, figures.test, figures.test_rows, of_task),
        ("training", metrics.train, figures.train, figures.train_rows, of_task),
    ]
    if {column: set(found) for column, found in metrics.slices.items()} != {
        column: set(found) for column, found in figures.slices.items()
    }:
        return "the metrics are those of other slices"
    for column, by_value in figures.slices.items():
        for value, own in by_value.items():
            rows = figures.slice_rows[column][value]
            parts.append((f"{column} {value}", metrics.slices[column][value], own, rows, of_slices))
    problems = (_difference(*part) for part in parts)
    problem = next((problem for problem in problems if problem), None)
    if problem is None and not _is_same(metrics.overfit, figures.overfit):
        return f"the metrics' overfit is not that of the predictions: {figures.overfit:g}"
    return problem


def _difference(
    part: str, reported: Mapping[str, float], own: Mapping[str, Figure], rows: int, metrics: tuple[Metric, ...]
) -> str | None:
    if set(reported) != {ROWS, *own}:
        return f"the metrics of part {part} are not those that the task declares"
    if reported[ROWS] != rows:
        return f"the metrics of part {part} are of {reported[ROWS]} rows, the predictions have {rows}"
    for metric in metrics:
        actual = own[metric.name].value
        if not _is_same(reported[metric.name], actual):
            return f"the metrics' {metric.title} ({part}) is not that of the predictions: {actual:g}"
    return None


def _is_same(reported: float, actual: float) -> bool:
    return math.isclose(reported, actual, rel_tol=1e-9, abs_tol=1e-9)  # of a NaN never


def _of_part(part: Answers, task: Task) -> dict[str, Figure]:
    def of_task(name: str) -> float:
        return task.measure(part.labels, part.answers)[name]

    return {
        metric.name: _figure(task.row_values(part.labels, part.answers, metric.name), metric.name, of_task)
        for metric in task.metrics
    }


def _of_slices(part: Answers, task: Task) -> dict[str, dict[str, dict[str, Figure]]]:
    def figure(column: str, value: str, name: str) -> Figure:
        rows = task.slice_row_values(part.labels, part.answers, column, value, name)
        return _figure(rows, name, lambda name: task.measure_slices(part.labels, part.answers)[column][value][name])

    return {
        column: {
            value: {metric.name: figure(column, value, metric.name) for metric in task.slice_metrics}
            for value in divided.names
        }
        for column, divided in task.slices(part.labels).items()
    }


def _figure(rows: Values | None, name: str, of_task: Callable[[str], float]) -> Figure:
    """Return the mean of the values; of a metric without them, what the task itself measures."""
    has_values = rows is not None and len(rows) > 0
    return Figure(float(rows.mean()) if rows is not None and has_values else float(of_task(name)), rows)
