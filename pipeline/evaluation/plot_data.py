"""The tables behind `dvc plots show`: one CSV per plot, with the columns that dvc.yaml names as its axes.

A class's column has the axis in its name (`true_positive_rate of trouser`), so no class name clashes with a fixed one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from pipeline.evaluation.curves import Calibration, Curves
from pipeline.evaluation.metrics import Labels, Probabilities
from pipeline.records.training_history import EpochRecord, History


def learning_curves(history: History) -> bytes:
    """Return one row per epoch. By default DVC draws the last column: the validation accuracy."""
    return _csv(list(EpochRecord.model_fields), (list(epoch.to_json().values()) for epoch in history))


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
