"""Compares the candidate with the champion on the same test rows."""

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


def compare_with_champion(
    champion: Champion,
    folder: Path,
    answers: Answers,
    ask: Ask,
    *,
    classes: Sequence[str],
    rule: ChampionRule,
    seed: int,
) -> Comparison | None:
    """Compare the candidate's predictions with those of the champion in `folder`; None if there is no champion.

    `ask` returns a stored model's predictions for the test rows, `[row, class] float32`. Raises DataError with a clause
    that says why the comparison is not possible, and whatever `ask` raises.
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
    champion_probabilities = ask(folder)
    if not np.all(np.isfinite(champion_probabilities)):
        raise DataError("it answers numbers that are not finite")
    candidate_is_right = answers.probabilities.argmax(axis=1) == answers.labels
    champion_is_right = champion_probabilities.argmax(axis=1) == answers.labels
    return Comparison(
        accuracy=comparison.compare(
            candidate_is_right,
            champion_is_right,
            confidence=rule.confidence,
            resamples=rule.resamples,
            seed=(seed, 0),
        ),
        recalls=comparison.compare_recalls(
            answers.labels,
            candidate_is_right,
            champion_is_right,
            classes=len(classes),
            confidence=rule.confidence,
            resamples=rule.resamples,
            seed=seed,
        ),
    )
