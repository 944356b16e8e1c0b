"""The candidate meets the champion: both answer the same test rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.gate import comparison
from pipeline.gate.evidence import Answers, Comparison
from pipeline.models import stored
from pipeline.recipe.recipe import ChampionRule
from pipeline.records.champion import Champion

Ask = Callable[[Path], npt.NDArray[np.float32]]


def meet(
    champion: Champion,
    folder: Path,
    answers: Answers,
    ask: Ask,
    *,
    classes: Sequence[str],
    rule: ChampionRule,
    seed: int,
) -> Comparison | None:
    """Compare the candidate's answers with those of the champion in `folder`; None if there is no champion.

    `ask` returns what a stored model answers to the test rows, `[row, class] float32`. Raises DataError with a clause
    that says why the champion cannot be met, and whatever `ask` raises.
    """
    if champion.identity is None:
        return None
    if champion.problem:
        raise DataError(champion.problem)
    if stored.digest(folder) != champion.identity.digest:
        raise DataError("its files do not have its digest")
    trained_for = stored.read_architecture(folder).classes
    if trained_for != tuple(classes):
        raise DataError(f"it was trained for {len(trained_for)} other classes: {', '.join(trained_for)[:120]}")
    theirs = ask(folder)
    if not np.all(np.isfinite(theirs)):
        raise DataError("it answers numbers that are not finite")
    is_ours_right = answers.probabilities.argmax(axis=1) == answers.labels
    is_theirs_right = theirs.argmax(axis=1) == answers.labels
    return Comparison(
        accuracy=comparison.compare(
            is_ours_right, is_theirs_right, confidence=rule.confidence, resamples=rule.resamples, seed=(seed, 0)
        ),
        recalls=comparison.compare_recalls(
            answers.labels,
            is_ours_right,
            is_theirs_right,
            classes=len(classes),
            confidence=rule.confidence,
            resamples=rule.resamples,
            seed=seed,
        ),
    )
