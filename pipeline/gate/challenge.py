"""Compares the candidate with the champion on the same test rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.gate import comparison
from pipeline.gate.evidence import Answers, Comparison
from pipeline.models import stored
from pipeline.recipe.recipe import ChampionRule
from pipeline.recipe.task import Task
from pipeline.records.champion import Champion

Ask = Callable[[Path], npt.NDArray[np.float32]]


def compare_with_champion(
    champion: Champion, folder: Path, answers: Answers, ask: Ask, *, task: Task, rule: ChampionRule, seed: int
) -> Comparison | None:
    """Compare the candidate's answers with those of the champion in `folder`; None if there is no champion.

    `ask` returns a stored model's answers for the test rows, `[row, …] float32`. Raises DataError with a clause that
    says why the comparison is not possible, and whatever `ask` raises.
    """
    if champion.identity is None:
        return None
    if champion.problem:
        raise DataError(champion.problem)
    if stored.digest(folder) != champion.identity.digest:
        raise DataError("its files do not have its digest")
    architecture = stored.read_architecture(folder)
    if architecture.task != task.name:
        raise DataError(f"it was trained for another task: {architecture.task:.120}")
    if architecture.classes != task.classes:
        raise DataError(
            f"it was trained for {len(architecture.classes)} other classes: {', '.join(architecture.classes)[:120]}"
        )
    theirs = ask(folder)
    if not np.all(np.isfinite(theirs)):
        raise DataError("it answers numbers that are not finite")
    candidate_scores = task.score(answers.labels, answers.answers)
    champion_scores = task.score(answers.labels, theirs)
    return Comparison(
        overall=comparison.compare(
            candidate_scores, champion_scores, confidence=rule.confidence, resamples=rule.resamples, seed=(seed, 0)
        ),
        slices=comparison.compare_slices(
            task.slices(answers.labels),
            candidate_scores,
            champion_scores,
            confidence=rule.confidence,
            resamples=rule.resamples,
            seed=seed,
        ),
    )
