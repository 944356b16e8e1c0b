"""The evidence on which the gate judges."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError, StorageError, UsageError
from pipeline.gate.comparison import Difference
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
    """The comparison with the champion: in accuracy over all test rows, and in recall for each class."""

    accuracy: Difference
    recalls: Sequence[Difference]


@dataclass(frozen=True)
class Answers:
    """Rows and a model's predictions for them: `labels [row] int32`, `probabilities [row, class] float32`."""

    ids: Sequence[str]
    labels: npt.NDArray[np.int32]
    probabilities: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Evidence:
    """Everything on which the gate judges."""

    candidate: str
    metrics: MetricsReport | Unknown
    test_ids: Sequence[str]
    test_labels: npt.NDArray[np.int32]
    predictions: Answers | Unknown
    served: npt.NDArray[np.float32] | Unknown  # the exported model's probabilities for the first rows
    champion: Identity | None
    comparison: Comparison | Unknown | None  # None: there is no champion


def predictions_problem(evidence: Evidence, classes: int) -> str | None:
    """Return why the predictions cannot be the candidate's on the test rows; None if nothing contradicts that."""
    answers = evidence.predictions
    if isinstance(answers, Unknown):
        return answers.why
    rows = len(evidence.test_ids)
    if rows == 0:
        return "there are no test rows"
    if answers.probabilities.shape != (rows, classes) or len(answers.labels) != rows:
        return f"the predictions are {answers.probabilities.shape}, the test part needs {(rows, classes)}"
    if list(answers.ids) != list(evidence.test_ids):
        return "the ids of the predictions are not those of the test rows"
    if not np.array_equal(answers.labels, evidence.test_labels):
        return "the labels of the predictions are not those of the test rows"
    sums = answers.probabilities.sum(axis=1, dtype=np.float64)
    if not np.all(np.isfinite(answers.probabilities)) or np.max(np.abs(sums - 1)) > 1e-3:
        return "some predictions are not probabilities"
    measured = None if isinstance(evidence.metrics, Unknown) else finite(evidence.metrics.test.accuracy)
    right = int(np.count_nonzero(answers.probabilities.argmax(axis=1) == answers.labels))
    if measured is None or abs(measured * rows - right) > 0.5:
        return f"the metrics' accuracy is not that of the predictions: {right} of {rows} rows are right"
    return None


def finite(value: float | None) -> float | None:
    """Return a figure if it is a finite number, otherwise None: neither NaN nor infinity counts as a figure."""
    return value if value is not None and math.isfinite(value) else None
