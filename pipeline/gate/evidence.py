"""The evidence on which the gate judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError, StorageError, UsageError
from pipeline.recipe.task import Slices, Task
from pipeline.records.identity import Identity
from pipeline.records.metrics import MetricsReport
from pipeline.storage.declared_slices import declared_slices
from pipeline.storage.judged_rows import Keys

T = TypeVar("T")
Scores = npt.NDArray[np.float64]


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
class Answers:
    """Rows and a model's answers to them: `labels [row] int32` or, of numbers, float64; `answers [row, …] float32`.

    `slices` are the texts that declared columns have for the rows, by column: `[row] str` each.
    """

    ids: Sequence[str]
    labels: npt.NDArray[Any]
    answers: npt.NDArray[np.float32]
    slices: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Other:
    """A model that the candidate must meet, and its scores on the test rows, `[row] float64`.

    Without an identity, nobody knows any more which model it was. `judged_by` are the keys of the test rows that it was
    judged by itself (see `storage.judged_rows`); None if they are not known.
    """

    identity: Identity | None
    scores: Scores | Unknown
    judged_by: Keys | None = None


@dataclass(frozen=True)
class Evidence:
    """Everything on which the gate judges. Without champion and anchor, the candidate is the first model."""

    candidate: str
    parameters: int  # of the candidate
    metrics: MetricsReport | Unknown
    test_ids: Sequence[str]
    test_labels: npt.NDArray[Any]
    predictions: Answers | Unknown
    train: Answers | Unknown  # the candidate's answers to the training rows
    served: npt.NDArray[np.float32] | Unknown  # the exported model's answers to the first rows
    champion: Other | None
    anchor: Other | None
    test_slices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    validation: Answers | Unknown | None = None  # the candidate's answers from which its task learns

    @property
    def declared(self) -> dict[str, Slices]:
        """The test rows' slices that the recipe declares."""
        return declared_slices(self.test_slices)


def predictions_problem(given: Answers, evidence: Evidence, task: Task) -> str | None:
    """Return why the predictions cannot be the candidate's on the test rows; None if nothing contradicts that."""
    rows = len(evidence.test_ids)
    if rows == 0:
        return "there are no test rows"
    if len(given.answers) != rows or len(given.labels) != rows:
        return f"there are {len(given.answers)} predictions, the test part has {rows} rows"
    if list(given.ids) != list(evidence.test_ids):
        return "the ids of the predictions are not those of the test rows"
    if not np.array_equal(given.labels, evidence.test_labels):
        return "the labels of the predictions are not those of the test rows"
    if {name: list(texts) for name, texts in given.slices.items()} != {
        name: list(texts) for name, texts in evidence.test_slices.items()
    }:
        return "the slices of the predictions are not those of the test rows"
    return answers_problem(given, task)


def answers_problem(given: Answers, task: Task) -> str | None:
    """Return why answers cannot be measured; None if they can."""
    try:
        task.check_answers(given.labels, given.answers)
    except DataError as error:
        return str(error)
    return None
