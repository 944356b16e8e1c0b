"""Gathers the gate's evidence from the outputs of earlier stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.gate.challenge import Ask, Learn, learns_nothing, scores_of
from pipeline.gate.evidence import Answers, Evidence, Other, Unknown, known
from pipeline.models import stored
from pipeline.recipe.task import Task
from pipeline.records.architecture import Predicted
from pipeline.records.champion import ANCHOR_FILE, CHAMPION_FILE, Champion
from pipeline.records.metrics import MetricsReport
from pipeline.storage.judged_rows import JUDGED_BY_FILE, read_keys
from pipeline.storage.record_files import read_record
from pipeline.storage.shards import Rows


@dataclass(frozen=True)
class ModelQueries:
    """How models are queried: `predict` runs a stored one on the test rows, `serve` the exported one on the first.

    `in_words` says what went wrong without naming this machine's folders. `learn` is what the task learns from a stored
    model's answers to the validation part.
    """

    predict: Ask
    serve: Callable[[], npt.NDArray[np.float32]]
    in_words: Callable[[Exception], str]
    learn: Learn = learns_nothing


def gather(
    *,
    candidate: Path,
    champion: Path,
    anchor: Path,
    metrics: Path,
    test: Rows,
    answers: Answers,
    train: Answers,
    queries: ModelQueries,
    task: Task,
    validation: Answers | None = None,
) -> Evidence:
    """Return the evidence. What cannot be measured is in it as Unknown, with the reason, rather than raised.

    An anchor that is the champion's model has its files there, and is not asked again.
    """
    in_use, held_to = read_record(champion / CHAMPION_FILE, Champion), read_record(anchor / ANCHOR_FILE, Champion)
    architecture = stored.read_architecture(candidate)
    ask = partial(_other, labels=test.labels, queries=queries, task=task, predicts=architecture.predicts)
    # Before the export is queried: predict fixes TensorFlow's arithmetic for this process.
    met = ask(in_use, champion)
    if met is not None and in_use.identity and held_to.identity and in_use.identity.digest == held_to.identity.digest:
        anchored: Other | None = Other(held_to.identity, Unknown(held_to.problem) if held_to.problem else met.scores)
    else:
        anchored = ask(held_to, anchor)
    return Evidence(
        candidate=stored.digest(candidate),
        parameters=architecture.parameters,
        metrics=known(lambda: read_record(metrics, MetricsReport), queries.in_words),
        test_ids=test.ids,
        test_labels=test.labels,
        test_slices=test.slices,
        validation=validation,
        predictions=answers,
        train=train,
        champion=met,
        anchor=anchored,
        served=known(queries.serve, queries.in_words),
    )


def _other(
    of: Champion,
    folder: Path,
    labels: npt.NDArray[Any],
    queries: ModelQueries,
    task: Task,
    predicts: Predicted | None,
) -> Other | None:
    """Return a model that the candidate must meet, and its scores; None if there never was one."""
    if of.problem:
        return Other(of.identity, Unknown(of.problem))
    if of.identity is None:
        return None
    ask = partial(scores_of, of.identity, folder, labels, queries.predict, task, queries.learn, predicts=predicts)
    listed = known(lambda: read_keys(folder / JUDGED_BY_FILE), queries.in_words)
    return Other(of.identity, known(ask, queries.in_words), None if isinstance(listed, Unknown) else listed)
