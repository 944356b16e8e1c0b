"""The candidate's metrics, measured again from its predictions; the metrics' file is held against them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.gate.evidence import Answers, Unknown
from pipeline.recipe.task import Metric, RowValues, Task
from pipeline.records.metrics import ROWS, MetricsReport
from pipeline.storage.declared_slices import declared_slices


@dataclass(frozen=True)
class Figures:
    """The metrics of both parts by name, and those of the test part's slices by column, value and name.

    `by_row` finds the values by row of the test part's metrics: only those that are bounded are asked for.
    """

    test: Mapping[str, float]
    test_rows: int
    train: Mapping[str, float]
    train_rows: int
    slices: Mapping[str, Mapping[str, Mapping[str, float]]]
    slice_rows: Mapping[str, Mapping[str, int]]
    by_row: RowValues
    primary: Metric

    @property
    def overfit(self) -> float:
        """How far the primary metric is worse on the test part than on the training part."""
        lead = self.train[self.primary.name] - self.test[self.primary.name]
        return lead if self.primary.is_higher_better else -lead


def measure(test: Answers, train: Answers, task: Task) -> Figures:
    """Return every metric that the task declares. The answers must be such as the task can measure."""
    declared = declared_slices(test.slices)
    return Figures(
        test=task.measure(test.labels, test.answers),
        test_rows=len(test.labels),
        train=task.measure(train.labels, train.answers),
        train_rows=len(train.labels),
        slices=task.measure_slices(test.labels, test.answers, declared),
        slice_rows={
            column: dict(
                zip(divided.names, np.bincount(divided.number_of, minlength=len(divided.names)).tolist(), strict=True)
            )
            for column, divided in task.slices(test.labels, declared).items()
        },
        by_row=task.row_values(test.labels, test.answers, declared),
        primary=task.metrics[0],
    )


def metrics_problem(metrics: MetricsReport | Unknown, figures: Figures, task: Task) -> str | None:
    """Return why the metrics' file cannot be that of the predictions; None if it has every figure as they have it."""
    if isinstance(metrics, Unknown):
        return f"the metrics are not known: {metrics.why}"
    if metrics.task != task.name:
        return f"the metrics are those of another task: {metrics.task:.120}"
    if metrics.learned.keys() != task.learned.keys():
        return "the metrics are not by what the task learns from the validation part"
    for name, learned in task.learned.items():
        if not _is_same(metrics.learned[name], learned):
            return f"the metrics' {name} is not that of the validation part: {learned:g}"
    of_task = task.metrics
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
            parts.append((f"{column} {value}", metrics.slices[column][value], own, rows, task.metrics_of(column)))
    problems = (_difference(*part) for part in parts)
    problem = next((problem for problem in problems if problem), None)
    if problem is None and not _is_same(metrics.overfit, figures.overfit):
        return f"the metrics' overfit is not that of the predictions: {figures.overfit:g}"
    return problem


def _difference(
    part: str, reported: Mapping[str, float], own: Mapping[str, float], rows: int, metrics: tuple[Metric, ...]
) -> str | None:
    if set(reported) != {ROWS, *own}:
        return f"the metrics of part {part} are not those that the task declares"
    if reported[ROWS] != rows:
        return f"the metrics of part {part} are of {reported[ROWS]} rows, the predictions have {rows}"
    for metric in metrics:
        actual = own[metric.name]
        if not _is_same(reported[metric.name], actual):
            return f"the metrics' {metric.title} ({part}) is not that of the predictions: {actual:g}"
    return None


def _is_same(reported: float, actual: float) -> bool:
    return math.isclose(reported, actual, rel_tol=1e-9, abs_tol=1e-9)  # of a NaN never
