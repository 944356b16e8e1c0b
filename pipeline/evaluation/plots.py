"""The tables behind `dvc plots show`: one CSV a plot, with the columns that dvc.yaml names as its axes.

A class is named in the fixed columns' terms (`true_positive_rate of trouser`), so no class name can clash with them.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.errors import DataError, StorageError
from pipeline.evaluation.curves import Calibration, Curves
from pipeline.evaluation.metrics import Labels, Probabilities

HISTORY_COLUMNS = (
    "epoch",
    "learning_rate",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
)


def read_history(path: Path) -> list[dict[str, float]]:
    """Read the training history; raise StorageError if it cannot be read, DataError if it is not one."""
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    missing = [name for name in HISTORY_COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise DataError(f"{path}: not a training history: column {missing[0]} is missing; run train again")
    try:
        history = [{name: float(row[name]) for name in HISTORY_COLUMNS} for row in reader]
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: not a training history: {error}; run train again") from error
    if not history:
        raise DataError(f"{path}: not a training history: no epoch; run train again")
    if not all(math.isfinite(figure) for epoch in history for figure in epoch.values()):
        raise DataError(f"{path}: a figure is not finite: training diverged; lower train.learning_rate")
    return history


def learning_curves(history: Sequence[dict[str, float]]) -> bytes:
    """Return one row per epoch. DVC draws the last column when no other is asked for: the validation accuracy."""
    return _csv(
        HISTORY_COLUMNS,
        ([int(epoch["epoch"]), *(epoch[name] for name in HISTORY_COLUMNS[1:])] for epoch in history),
    )


def confusion(labels: Labels, probabilities: Probabilities, classes: Sequence[str]) -> bytes:
    """Return one row per test row: DVC's confusion template counts them itself."""
    predicted = probabilities.argmax(axis=1)
    return _csv(
        ("actual", "predicted"),
        ([classes[truth], classes[answer]] for truth, answer in zip(labels, predicted, strict=True)),
    )


def roc(curves: Curves, classes: Sequence[str]) -> bytes:
    """Return the mean over the classes, then each class against the rest."""
    return _curves(curves, classes, "false_positive_rate", "true_positive_rate")


def precision_recall(curves: Curves, classes: Sequence[str]) -> bytes:
    """Return the mean over the classes, then each class against the rest."""
    return _curves(curves, classes, "recall", "precision")


def calibration(bins: Calibration) -> bytes:
    """Return one row per bin that holds test rows."""
    columns = (bins.confidence.tolist(), bins.accuracy.tolist(), bins.rows.tolist())
    return _csv(("confidence", "accuracy", "rows"), zip(*columns, strict=True))


def _curves(curves: Curves, classes: Sequence[str], x: str, y: str) -> bytes:
    points = zip(curves.x.tolist(), curves.macro.tolist(), *curves.y.tolist(), strict=True)
    return _csv((x, y, *(f"{y} of {name}" for name in classes)), points)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()
