"""Asks the champion and the anchor what they answer to the test rows that the candidate has answered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.models import stored
from pipeline.recipe.task import Task
from pipeline.records.identity import Identity

Ask = Callable[[Path], npt.NDArray[np.float32]]
Learn = Callable[[Path], dict[str, float]]


def learns_nothing(_: Path) -> dict[str, float]:
    """Return nothing: so do most tasks."""
    return {}


def scores_of(
    identity: Identity, folder: Path, labels: npt.NDArray[Any], ask: Ask, task: Task, learn: Learn = learns_nothing
) -> npt.NDArray[np.float64]:
    """Return the scores `[row]` of a registered model whose files are in `folder`.

    `ask` returns a stored model's answers for the test rows, `[row, …] float32`; `learn` what the task learns from its
    answers to the validation part: every model is met at its best on the same rows. Raises DataError with a clause that
    says why the model cannot be compared with, and whatever `ask` raises.
    """
    if stored.digest(folder) != identity.digest:
        raise DataError("its files do not have its digest")
    architecture = stored.read_architecture(folder)
    if architecture.task != task.name:
        raise DataError(f"it was trained for another task: {architecture.task:.120}")
    if architecture.classes != task.classes and not task.classes:
        raise DataError(f"it was trained for {len(architecture.classes)} classes, and the target is a number")
    if architecture.classes != task.classes:
        raise DataError(
            f"it was trained for {len(architecture.classes)} other classes: {', '.join(architecture.classes)[:120]}"
        )
    theirs = ask(folder)
    if len(theirs) != len(labels):
        raise DataError(f"it answers {len(theirs)} of {len(labels)} rows")
    if not np.all(np.isfinite(theirs)):
        raise DataError("it answers numbers that are not finite")
    return task.with_learned(learn(folder)).score(labels, theirs)
