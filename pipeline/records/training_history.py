"""What training writes beside the model: `history.csv`, one row per epoch, and `training.json`, a summary."""

from __future__ import annotations

import csv
import io

from pydantic import ValidationError

from pipeline.errors import DataError
from pipeline.records.record import Record

HISTORY_FILE, TRAINING_FILE = "history.csv", "training.json"
_DIGITS = 8  # significant, in the file


class EpochRecord(Record):
    """One row of the training history. Losses are cross-entropies in nats; accuracies are between 0 and 1."""

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float


History = tuple[EpochRecord, ...]


class Training(Record):
    """Which epoch was best, and on how much data. `rows` by data set: train, augmented, validation."""

    best_epoch: int
    chosen_by: str
    epochs: int
    steps_per_epoch: int
    images_per_epoch: int
    rows: dict[str, int]


def history_csv(history: History) -> str:
    """Return the history as CSV: the epoch, then the other columns with eight significant digits."""
    names = list(EpochRecord.model_fields)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for record in history:
        writer.writerow([record.epoch, *(f"{getattr(record, name):.{_DIGITS}g}" for name in names[1:])])
    return text.getvalue()


def parse_history(text: str, where: str) -> History:
    """Parse a history; raise DataError, led by `where`, for a wrong column, a value that is not finite, or no rows."""
    reader = csv.DictReader(io.StringIO(text))
    try:
        history = tuple(EpochRecord.model_validate(row) for row in reader)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        column = ".".join(map(str, problem["loc"]))
        raise DataError(
            f"{where}: not a training history: column {column}: {problem['msg']}; run train again"
        ) from error
    except csv.Error as error:
        raise DataError(f"{where}: not a training history: {error}; run train again") from error
    if not history:
        raise DataError(f"{where}: not a training history: no epoch; run train again")
    return history
