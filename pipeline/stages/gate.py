"""Stage gate: judges the candidate against its bounds, the champion, the anchor and its own exported form."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.evaluation.predict import predict
from pipeline.evaluation.predictions import SHOWN_PART, read_predictions
from pipeline.export.ask import ask_export
from pipeline.gate.challenge import Learn, learns_nothing
from pipeline.gate.digests import JUDGES
from pipeline.gate.evidence import Answers
from pipeline.gate.gathering import ModelQueries, gather
from pipeline.gate.judge import judge
from pipeline.recipe.recipe import GateParams
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import Task, task_of
from pipeline.stages.context import StageContext
from pipeline.storage.record_files import write_record
from pipeline.storage.served_rows import read_served
from pipeline.storage.shards import read_rows


class _Learning(NamedTuple):
    """The candidate's answers to the validation part, and what the task learns from those of another model."""

    answers: Answers
    learn: Learn


def _learning(stage: StageContext, task: Task, parts: Path, asked: Callable[..., npt.NDArray[np.float32]]) -> _Learning:
    given, rows = read_predictions(parts / SHOWN_PART), read_rows(stage.dep(f"data/prepared/{SHOWN_PART}"))
    if list(given.ids) != list(rows.ids) or not np.array_equal(given.labels, rows.labels):
        raise DataError(f"{parts / SHOWN_PART}: not predictions of the prepared {SHOWN_PART} part; run evaluate again")
    served = read_served(stage.dep(f"data/served/{SHOWN_PART}"), rows.ids)

    def learn(model: Path) -> dict[str, float]:
        answers = asked(model, columns=rows.columns, served=served)
        task.check_answers(rows.labels, answers)
        return task.learn(rows.labels, answers)

    return _Learning(Answers(given.ids, given.labels, given.answers, given.slices), learn)


def run(stage: StageContext) -> str:
    """Publish `reports/verdict.json`; return the outcome and its reason."""
    rule, seed = stage.param("gate", GateParams), stage.param("seed", int)
    task = task_of(stage.param("task", Choice), stage.param("data.classes", tuple))
    candidate, test = stage.dep("models/candidate"), read_rows(stage.dep("data/prepared/test"))
    parts = stage.dep("reports/predictions")
    of_test, of_train = (read_predictions(parts / part) for part in ("test", "train"))
    exports, scratch = stage.shared(".ratchet/exports"), stage.volatile(".ratchet/gate")
    served = read_served(stage.dep("data/served/test"), test.ids)
    first = {name: values[: rule.parity.rows] for name, values in {**test.columns, **served}.items()}
    asked = partial(predict, progress=partial(stage.progress.advance, unit="rows"), starting=stage.progress.starting)
    learning = _learning(stage, task, parts, asked) if task.learns else None
    stage.progress.step("asking the champion, the anchor and the exported candidate")
    evidence = gather(
        candidate=candidate,
        champion=stage.dep("models/champion"),
        anchor=stage.dep("models/anchor"),
        metrics=stage.dep("reports/metrics.json"),
        test=test,
        answers=Answers(of_test.ids, of_test.labels, of_test.answers, of_test.slices),
        train=Answers(of_train.ids, of_train.labels, of_train.answers, of_train.slices),
        queries=ModelQueries(
            predict=partial(asked, columns=test.columns, served=served),
            serve=partial(ask_export, candidate, exports, first, scratch, stage.progress.starting),
            in_words=stage.without_root,
            learn=learning.learn if learning else learns_nothing,
        ),
        task=task,
        validation=learning.answers if learning else None,
    )
    verdict = judge(evidence, rule, task, seed, stage.behaviour(*JUDGES))
    write_record(stage.out("reports/verdict.json"), verdict)
    return f"{verdict.outcome.upper()}  {verdict.reason}"
