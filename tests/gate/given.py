"""Evidence of a candidate that holds everywhere, and the rule it is judged by."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.gate.comparison import Difference
from pipeline.gate.evidence import Answers, Comparison, Evidence
from pipeline.recipe.recipe import ChampionRule, GateParams, ParityRule
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import task_of
from pipeline.records.identity import Identity
from pipeline.records.metrics import MetricsReport
from pipeline.records.verdict import Verdict

CLASSES = ("cat", "dog")
TASK = task_of(Choice(name="classification"), CLASSES)
ROWS = 8
LABELS = np.array([0, 1] * 4, np.int32)
RULE = GateParams(
    minimum={"accuracy": 0.7, "macro_f1": 0.6, "mcc": 0.1},
    maximum={"cross_entropy": 0.9, "calibration_error": 0.5, "overfit": 0.2},
    champion=ChampionRule(margin=0.01, class_margin=0.05),
    parity=ParityRule(rows=4, tolerance=1e-4),
)
CHAMPION = Identity(name="pets", version=3, digest="sha256:old")
FIGURES = {
    "rows": ROWS,
    "accuracy": 0.875,
    "macro_precision": 0.9,
    "macro_recall": 0.875,
    "macro_f1": 0.8,
    "auc": 0.9,
    "mcc": 0.7,
    "cross_entropy": 0.4,
    "calibration_error": 0.1,
}
SLICE = {"rows": 4, "precision": 0.9, "recall": 0.875, "f1": 0.8, "auc": 0.9}
METRICS = MetricsReport(
    task="classification",
    primary="accuracy",
    test=FIGURES,
    train={**FIGURES, "accuracy": 0.925},
    overfit=0.05,
    slices={"class": dict.fromkeys(CLASSES, SLICE)},
)


def metrics(*, overfit: float = 0.05, **of_test: float) -> MetricsReport:
    """The metrics, with some of their figures replaced."""
    return METRICS.changed(test={**FIGURES, **of_test}, overfit=overfit)


def compared(overall: Difference, cat: Difference, dog: Difference) -> Comparison:
    """A comparison, overall and in each class."""
    return Comparison(overall, {"class": {"cat": cat, "dog": dog}})


def probabilities() -> npt.NDArray[np.float32]:
    """Sure answers, one of them wrong: 7 of 8."""
    sure = np.full((ROWS, 2), 0.1, np.float32)
    sure[np.arange(ROWS), LABELS] = 0.9
    sure[0] = sure[0, ::-1]
    return sure


def difference(lower: float, rows: int = ROWS) -> Difference:
    """A comparison with this lower limit."""
    return Difference(rows, won=0, lost=0, difference=max(0.0, lower), lower=lower)


def evidence(**changes: Any) -> Evidence:
    """The evidence, with some of it replaced."""
    ids = [f"row-{n}" for n in range(ROWS)]
    complete = Evidence(
        candidate="sha256:new",
        metrics=METRICS,
        test_ids=ids,
        test_labels=LABELS,
        predictions=Answers(ids, LABELS, probabilities()),
        served=probabilities()[:4],
        champion=CHAMPION,
        comparison=compared(difference(-0.005), difference(-0.01), difference(-0.04)),
    )
    return dataclasses.replace(complete, **changes)


def answers(**changes: Any) -> Answers:
    """The predictions, with some of them replaced."""
    return dataclasses.replace(Answers([f"row-{n}" for n in range(ROWS)], LABELS, probabilities()), **changes)


def failed(verdict: Verdict) -> list[str]:
    """The names of the checks that failed."""
    return [check.name for check in verdict.checks if not check.has_passed]
