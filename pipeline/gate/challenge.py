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
from pipeline.records.architecture import Predicted
from pipeline.records.identity import Identity

Ask = Callable[[Path], npt.NDArray[np.float32]]
Learn = Callable[[Path], dict[str, float]]


def learns_nothing(_: Path) -> dict[str, float]:
    """Return nothing: so do most tasks."""
    return {}


def scores_of(
    identity: Identity,
    folder: Path,
    labels: npt.NDArray[Any],
    ask: Ask,
    task: Task,
    learn: Learn = learns_nothing,
    *,
    predicts: Predicted | None = None,
) -> npt.NDArray[np.float64]:
    """Return the scores `[row]` of a registered model whose files are in `folder`.

    `ask` returns a stored model's answers for the test rows, `[row, …] float32`; `learn` what the task learns from its
    answers to the validation part: every model is met at its best on the same rows. `predicts` is what the candidate's
    target means. Raises DataError with a clause that says why the model cannot be compared with, and whatever `ask`
    raises.
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
    _require_same_target(architecture.predicts, predicts, is_number=not task.classes)
    theirs = ask(folder)
    if len(theirs) != len(labels):
        raise DataError(f"it answers {len(theirs)} of {len(labels)} rows")
    if not np.all(np.isfinite(theirs)):
        raise DataError("it answers numbers that are not finite")
    return task.with_learned(learn(folder)).score(labels, theirs)


def _require_same_target(theirs: Predicted | None, ours: Predicted | None, *, is_number: bool) -> None:
    """Raise DataError if two models of one task and the same classes predict different things.

    The names of classes say what they are, those between edges of a number do not. What an earlier Ratchet has written
    says nothing of it: such a model is met as before.
    """
    if theirs is None or ours is None:
        return
    is_cut = bool(theirs.edges or ours.edges)
    is_other_column = theirs.column != ours.column and None not in (theirs.column, ours.column)
    is_other = theirs.unit != ours.unit if is_number else theirs.edges != ours.edges
    if is_other or (is_other_column and (is_number or is_cut)):
        raise DataError(
            f"it predicts {_in_words(theirs, is_number)}, and the candidate {_in_words(ours, is_number)} "
            "(data.source.settings.target, task.settings.unit): they answer different questions; give the new one a "
            "name of its own (name)"
        )


def _in_words(predicts: Predicted, is_number: bool) -> str:
    column = "a number" if predicts.column is None else f"'{predicts.column:.120}'"
    if is_number:
        return f"{column} in {predicts.unit}" if predicts.unit else f"{column} without a unit"
    edges = ", ".join(f"{edge:g}" for edge in predicts.edges)
    return f"{column} cut at {edges:.120}" if edges else column
