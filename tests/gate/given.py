"""Evidence of a candidate that holds everywhere, and the rule it is judged by."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evaluation import measuring
from pipeline.evaluation.predictions import Predictions
from pipeline.gate.evidence import Answers, Evidence, Other
from pipeline.gate.judge import judge
from pipeline.recipe.recipe import GateParams
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import task_of
from pipeline.records.identity import Identity
from pipeline.records.metrics import MetricsReport
from pipeline.records.verdict import GateCheck, Verdict

CLASSES = ("cat", "dog")
TASK = task_of(Choice(name="classification"), CLASSES)
ROWS = 2000  # half of them cats
LABELS = (np.arange(ROWS) % 2).astype(np.int32)
IDS = [f"row-{number}" for number in range(ROWS)]
BOUNDS = {
    "minimum": {"accuracy": 0.7, "macro_f1": 0.6, "mcc": 0.1},
    "maximum": {"cross_entropy": 0.9, "calibration_error": 0.5, "overfit": 0.2},
}
PRIMARY = {"minimum": {"accuracy": 0.7}}  # the one that must be bounded: quickly judged
CHAMPION = Identity(name="pets", version=3, digest="sha256:old")
ANCHOR = Identity(name="pets", version=2, digest="sha256:older")
WRONG = range(100)  # the rows that the candidate has wrong: accuracy 0.95


def rule(name: str = "better", *, bounds: Any = PRIMARY, **settings: Any) -> GateParams:
    """The gate of a recipe, with a rule of this name and settings."""
    values = {**bounds, "rule": {"name": name, "settings": settings}, "parity": {"rows": 4, "tolerance": 1e-4}}
    return GateParams.model_validate(values)


def probabilities(wrong: Sequence[int] = WRONG) -> npt.NDArray[np.float32]:
    """Sure answers, some of them wrong."""
    sure = np.full((ROWS, 2), 0.1, np.float32)
    sure[np.arange(ROWS), LABELS] = 0.9
    sure[list(wrong)] = sure[list(wrong), ::-1]
    return sure


def scores(wrong: Sequence[int]) -> npt.NDArray[np.float64]:
    """The scores of a model that has these rows wrong."""
    return TASK.score(LABELS, probabilities(wrong))


def other(identity: Identity, won: int, lost: int) -> Other:
    """A model against which the candidate wins and loses so many rows, as many cats as dogs."""
    return Other(identity, scores([*WRONG[lost:], *range(1000, 1000 + won)]))


def answers(wrong: Sequence[int] = WRONG, **changes: Any) -> Answers:
    """The predictions, with some of them replaced."""
    return dataclasses.replace(Answers(IDS, LABELS, probabilities(wrong)), **changes)


def metrics_of(test: Answers, train: Answers) -> MetricsReport:
    """The metrics that evaluate would write."""
    parts = [Predictions(list(each.ids), each.labels, each.answers) for each in (train, test)]
    return measuring.report(TASK, *parts)


METRICS = metrics_of(answers(), answers(range(20)))


def evidence(**changes: Any) -> Evidence:
    """The evidence, with some of it replaced."""
    complete = Evidence(
        candidate="sha256:new",
        parameters=1000,
        metrics=METRICS,
        test_ids=IDS,
        test_labels=LABELS,
        predictions=answers(),
        train=answers(range(20)),
        served=probabilities()[:4],
        champion=other(CHAMPION, won=60, lost=20),
        anchor=other(ANCHOR, won=80, lost=20),
    )
    return dataclasses.replace(complete, **changes)


def judged(gate: GateParams | None = None, **changes: Any) -> Verdict:
    """The verdict on the evidence, with some of it replaced."""
    return judge(evidence(**changes), gate or rule(), TASK, 1, {})


def met(won: int, lost: int, name: str = "better", **settings: Any) -> Verdict:
    """The verdict on a candidate that wins and loses so many rows against the champion, which is the anchor."""
    same = other(CHAMPION, won, lost)
    return judged(rule(name, **settings), champion=same, anchor=same)


def failed(verdict: Verdict) -> list[str]:
    """The names of the checks that failed."""
    return [check.name for check in verdict.checks if not check.has_passed]


def check_of(verdict: Verdict, name: str) -> GateCheck:
    """The check of this name."""
    return next(check for check in verdict.checks if check.name == name)
