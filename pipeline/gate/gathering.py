"""Gathers the gate's evidence from the outputs of earlier stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.gate.challenge import Ask, compare_with_champion
from pipeline.gate.evidence import Answers, Evidence, known
from pipeline.models import stored
from pipeline.recipe.recipe import GateParams
from pipeline.recipe.task import Task
from pipeline.records.champion import CHAMPION_FILE, Champion
from pipeline.records.metrics import MetricsReport
from pipeline.storage.record_files import read_record
from pipeline.storage.shards import Rows


@dataclass(frozen=True)
class ModelQueries:
    """How models are queried: `predict` runs a stored one on the test rows, `serve` the exported one on the first.

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
    test: Rows,
    answers: Answers,
    queries: ModelQueries,
    rule: GateParams,
    task: Task,
    seed: int,
) -> Evidence:
    """Return the evidence. What cannot be measured is in it as Unknown, with the reason, rather than raised."""
    declared = read_record(champion / CHAMPION_FILE, Champion)
    compare = partial(compare_with_champion, declared, champion, answers, queries.predict)
    return Evidence(
        candidate=stored.digest(candidate),
        metrics=known(lambda: read_record(metrics, MetricsReport), queries.in_words),
        test_ids=test.ids,
        test_labels=test.labels,
        predictions=answers,
        champion=declared.identity,
        # Before the export is queried: predict fixes TensorFlow's arithmetic for this process.
        comparison=known(partial(compare, task=task, rule=rule.champion, seed=seed), queries.in_words),
        served=known(queries.serve, queries.in_words),
    )
