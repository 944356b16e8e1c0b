"""Gathers what the gate judges by, from what the stages before have left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.gate.challenge import Ask, meet
from pipeline.gate.evidence import Answers, Evidence, known
from pipeline.models import stored
from pipeline.recipe.recipe import GateParams
from pipeline.records.champion import CHAMPION_FILE, Champion
from pipeline.records.metrics import MetricsReport
from pipeline.storage.record_files import read_record
from pipeline.storage.shards import Images


@dataclass(frozen=True)
class Means:
    """How models are asked: `predict` a stored model about the test rows, `serve` the exported one about the first.

    `in_words` says what went wrong without naming this machine's folders.
    """

    predict: Ask
    serve: Callable[[], npt.NDArray[np.float32]]
    in_words: Callable[[Exception], str]


def gather(
    *,
    candidate: Path,
    champion: Path,
    metrics: Path,
    test: Images,
    answers: Answers,
    means: Means,
    rule: GateParams,
    classes: tuple[str, ...],
    seed: int,
) -> Evidence:
    """Return the evidence. What cannot be had is in it as Unknown, with the reason; nothing of it raises."""
    opponent = read_record(champion / CHAMPION_FILE, Champion)
    challenge = partial(meet, opponent, champion, answers, means.predict)
    return Evidence(
        candidate=stored.digest(candidate),
        metrics=known(lambda: read_record(metrics, MetricsReport), means.in_words),
        test_ids=test.ids,
        test_labels=test.labels,
        predictions=answers,
        champion=opponent.identity,
        # Before the export is asked: predict settles TensorFlow's arithmetic for this process.
        comparison=known(partial(challenge, classes=classes, rule=rule.champion, seed=seed), means.in_words),
        served=known(means.serve, means.in_words),
    )
