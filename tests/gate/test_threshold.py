"""A threshold that is learned from the validation part: the gate learns it again, of each model for itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evaluation import measuring
from pipeline.evaluation.predictions import Predictions
from pipeline.gate.challenge import scores_of
from pipeline.gate.evidence import Answers, Evidence, Other, Unknown
from pipeline.gate.judge import judge
from pipeline.models import stored
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import task_of
from pipeline.records.architecture import Architecture
from pipeline.records.identity import Identity
from pipeline.records.verdict import Verdict
from tests.gate.given import CHAMPION, CLASSES, IDS, LABELS, failed, rule

TASK = task_of(Choice(name="classification", settings={"threshold": "validation"}), CLASSES)


def shy(share: float = 0.1, wrong: range = range(100)) -> npt.NDArray[np.float32]:
    """Answers that never give the second class more than so much, and yet tell the two apart but for some rows."""
    second = np.where(LABELS == 1, share, share / 4)
    second[list(wrong)] = np.where(LABELS == 1, share / 4, share)[list(wrong)]
    return np.stack([1 - second, second], axis=1).astype(np.float32)


def evidence(**changes: Any) -> Evidence:
    answers = shy()
    learned = TASK.with_learned(TASK.learn(LABELS, answers))
    part = Predictions(IDS, LABELS, answers)
    given = Answers(IDS, LABELS, answers)
    other = Other(CHAMPION, TASK.with_learned({"threshold": 0.3}).score(LABELS, shy(0.5, range(180))))
    complete = Evidence(
        candidate="sha256:new",
        parameters=1000,
        metrics=measuring.report(learned, part, part),
        test_ids=IDS,
        test_labels=LABELS,
        predictions=given,
        train=given,
        served=answers[:4],
        champion=other,
        anchor=other,
        validation=given,
    )
    return dataclasses.replace(complete, **changes)


def judged(**changes: Any) -> Verdict:
    return judge(evidence(**changes), rule(), TASK, 1, {})


def test_answers_are_judged_by_the_threshold_of_the_validation_part() -> None:
    verdict = judged()
    assert verdict.promotes, verdict.reason
    assert verdict.reason.startswith("accuracy 0.95 is at least 0.7")


def test_metrics_by_another_threshold_than_the_validation_part_s_are_refused() -> None:
    by_half = Predictions(IDS, LABELS, shy())
    metrics = measuring.report(TASK.with_learned({"threshold": 0.07}), by_half, by_half)
    assert judged(metrics=metrics).reason.startswith(
        "the metrics' threshold is not that of the validation part: 0.0625"
    )
    unlearned = judged(metrics=measuring.report(TASK, by_half, by_half))
    assert unlearned.reason.startswith("the metrics are not by what the task learns from the validation part")


def test_without_predictions_of_the_validation_part_nothing_is_let_through() -> None:
    assert "there are no predictions of the validation part" in judged(validation=None).reason
    assert "predictions" in failed(judged(validation=Unknown("gone")))
    broken = Answers(IDS, LABELS, shy() * np.float32(2))
    assert judged(validation=broken).reason.startswith("validation part: the model's answer for row 0")


def test_another_model_is_met_by_a_threshold_of_its_own(tmp_path: Path) -> None:
    architecture = Architecture(name="mlp", settings={}, task="classification", features=(), classes=CLASSES)
    stored.save_weights(tmp_path, architecture, {"dense/kernel": np.ones((2, 2), np.float32)})
    identity = Identity(name="pets", version=3, digest=stored.digest(tmp_path))
    theirs = shy(0.02, range(50))
    scores = scores_of(identity, tmp_path, LABELS, lambda _: theirs, TASK, lambda _: TASK.learn(LABELS, theirs))
    assert scores.mean() == 1 - 50 / len(LABELS)
    assert scores_of(identity, tmp_path, LABELS, lambda _: theirs, TASK).mean() == 0.5
