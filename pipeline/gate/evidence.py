"""The evidence on which the gate judges."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError, StorageError, UsageError
from pipeline.gate.comparison import Difference
from pipeline.recipe.task import Task
from pipeline.records.identity import Identity
from pipeline.records.metrics import MetricsReport

T = TypeVar("T")


@dataclass(frozen=True)
class Unknown:
    """A figure that could not be obtained, and why: a clause without a full stop."""

    why: str


def known(ask: Callable[[], T], in_words: Callable[[Exception], str]) -> T | Unknown:
    """Return what `ask` returns, or Unknown if it raises what bad data and bad models raise; `in_words` says why.

    A figure that cannot be had is a fact for the gate, not a crash: so is a file that is missing. A disk that fails
    says nothing about the model, and is raised.
    """
    try:
        return ask()
    except (DataError, UsageError, TypeError, ValueError) as error:
        return Unknown(in_words(error))
    except StorageError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        return Unknown(in_words(error))


@dataclass(frozen=True)
class Comparison:
    """The comparison with the champion by the task's score: over all test rows, and by the slices' column and name."""

    overall: Difference
    slices: Mapping[str, Mapping[str, Difference]]


@dataclass(frozen=True)
class Answers:
    """Rows and a model's answers to them: `labels [row] int32`, `answers [row, …] float32`."""

    ids: Sequence[str]
    labels: npt.NDArray[np.int32]
    answers: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Evidence:
    """Everything on which the gate judges."""

    candidate: str
    metrics: MetricsReport | Unknown
    test_ids: Sequence[str]
    test_labels: npt.NDArray[np.int32]
    predictions: Answers | Unknown
    served: npt.NDArray[np.float32] | Unknown  # the exported model's answers to the first rows
    champion: Identity | None
    comparison: Comparison | Unknown | None  # None: there is no champion


def predictions_problem(evidence: Evidence, task: Task) -> str | None:
    """Return why the predictions cannot be the candidate's on the test rows; None if nothing contradicts that."""
    given = evidence.predictions
    if isinstance(given, Unknown):
        return given.why
    rows = len(evidence.test_ids)
    if rows == 0:
        return "there are no test rows"
    if len(given.answers) != rows or len(given.labels) != rows:
        return f"there are {len(given.answers)} predictions, the test part has {rows} rows"
    if list(given.ids) != list(evidence.test_ids):
        return "the ids of the predictions are not those of the test rows"
    if not np.array_equal(given.labels, evidence.test_labels):
        return "the labels of the predictions are not those of the test rows"
    try:
        task.check_answers(given.labels, given.answers)
    except DataError as error:
        return str(error)
    return _metrics_problem(evidence.metrics, given, task)


def _metrics_problem(metrics: MetricsReport | Unknown, given: Answers, task: Task) -> str | None:
    """Return why the metrics cannot be those of the answers."""
    primary = task.metrics[0]
    if isinstance(metrics, Unknown):
        return f"the metrics' {primary.title} is not that of the predictions: it is not known"
    if metrics.task != task.name:
        return f"the metrics are those of another task: {metrics.task:.120}"
    if primary.is_mean:
        mean = float(task.score(given.labels, given.answers).mean())
        actual = mean if primary.is_higher_better else -mean
    else:
        actual = task.measure(given.labels, given.answers)[primary.name]
    measured = finite(metrics.test.get(primary.name))
    if measured is None or not math.isclose(measured, actual, rel_tol=1e-9, abs_tol=1e-12):
        return f"the metrics' {primary.title} is not that of the predictions: {actual:g}"
    return None


def finite(value: float | None) -> float | None:
    """Return a figure if it is a finite number, otherwise None: neither NaN nor infinity counts as a figure."""
    return value if value is not None and math.isfinite(value) else None
