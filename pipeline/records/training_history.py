"""What training writes beside the model: `history.csv`, one row per epoch, and `training.json`, a summary."""

from __future__ import annotations

import csv
import io
from typing import Any, ClassVar, Self

from pydantic import ValidationError, model_validator

from pipeline.errors import DataError
from pipeline.recipe.settings import message_of
from pipeline.records.computed_on import ComputedOn
from pipeline.records.record import Record

HISTORY_FILE, TRAINING_FILE = "history.csv", "training.json"
LOSS, PENALTY = "loss", "penalty"
_DIGITS = 8  # significant, in the file
_PARTS = ("train", "validation")


class EpochRecord(Record):
    """One epoch: what was measured on the training and on the validation part, as means over their rows, by name.

    Both have the recipe's `loss`, without what the model adds to it, and the task's figures. What the model adds
    (regularizers, losses of layers) is `penalty`, of the training part only, and is absent where it adds nothing.
    """

    epoch: int
    learning_rate: float
    train: dict[str, float]
    validation: dict[str, float]

    @model_validator(mode="after")
    def _parts_have_the_same_figures(self) -> Self:
        names = {part: set(getattr(self, part)) for part in _PARTS}
        wanted = (names["train"] | names["validation"] | {LOSS}) - {PENALTY}
        for part, found in names.items():
            if missing := sorted(wanted - found):
                raise ValueError(f"column {part}_{missing[0]}: is missing")
        if PENALTY in self.validation:
            raise ValueError(f"column validation_{PENALTY}: Extra inputs are not permitted")
        return self

    def row(self) -> dict[str, float]:
        """Return the epoch as a row of a table: `epoch`, `learning_rate`, `train_loss` …, `validation_loss` …"""
        parts = {f"{part}_{name}": value for part in _PARTS for name, value in getattr(self, part).items()}
        return {"epoch": self.epoch, "learning_rate": self.learning_rate, **parts}


History = tuple[EpochRecord, ...]


class Training(Record):
    """Which epoch was best, and on how much data. `rows` by data set: train, augmented, validation.

    `computed_on` has each kind of machine that computed a part of it, in their order: more than one, if the training
    was continued on another. Version 1 did not say.
    """

    VERSION: ClassVar[int] = 2
    best_epoch: int
    chosen_by: str
    epochs: int
    steps_per_epoch: int
    images_per_epoch: int
    rows: dict[str, int]
    computed_on: tuple[ComputedOn, ...] = ()


def history_csv(history: History) -> str:
    """Return the history as CSV: the epoch, then the other columns with eight significant digits."""
    text = io.StringIO()
    names = list(history[0].row())
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for record in history:
        figures = record.row()
        writer.writerow({name: value if name == "epoch" else f"{value:.{_DIGITS}g}" for name, value in figures.items()})
    return text.getvalue()


def parse_history(text: str, where: str) -> History:
    """Parse a history; raise DataError, led by `where`, for a wrong column, a value that is not finite, or no rows."""
    reader = csv.DictReader(io.StringIO(text))
    try:
        history = tuple(EpochRecord.model_validate(_grouped(row)) for row in reader)
    except ValidationError as error:
        problem = _problem(error)
        raise DataError(f"{where}: not a training history: {problem}; run train again") from error
    except csv.Error as error:
        raise DataError(f"{where}: not a training history: {error}; run train again") from error
    if not history:
        raise DataError(f"{where}: not a training history: no epoch; run train again")
    return history


def _grouped(row: dict[Any, Any]) -> dict[str, Any]:
    """Return a table's row with the figures of each part together. A row that is too long has a key None."""
    groups: dict[str, Any] = {part: {} for part in _PARTS}
    for column, value in row.items():
        part, _, name = str(column).partition("_")
        if part in groups and name:
            groups[part][name] = value
        else:
            groups[str(column)] = value
    return groups


def _problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    message = message_of(problem)
    column = "_".join(map(str, problem["loc"]))
    return f"column {column}: {message}" if column else message
