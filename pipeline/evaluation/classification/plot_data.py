"""The tables behind `dvc plots show`: one CSV per plot, with the columns that dvc.yaml names as its axes.

A class's column has the axis in its name (`true_positive_rate of trouser`), so no class name clashes with a fixed one.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.evaluation.classification import curves
from pipeline.evaluation.classification.curves import Calibration, Curves
from pipeline.evaluation.classification.metrics import EVEN, Labels, Probabilities, predicted
from pipeline.evaluation.tables import csv_table


def tables(
    labels: Labels,
    probabilities: Probabilities,
    classes: Sequence[str],
    *,
    calibration_bins: int,
    threshold: float = EVEN,
) -> dict[str, bytes]:
    """Return every table by its file name."""
    return {
        "confusion.csv": confusion(labels, predicted(probabilities, threshold), classes),
        "roc.csv": roc(curves.roc(labels, probabilities), classes),
        "precision_recall.csv": precision_recall(curves.precision_recall(labels, probabilities), classes),
        "calibration.csv": calibration(curves.calibration(labels, probabilities, bins=calibration_bins)),
    }


def confusion(labels: Labels, answers: Labels, classes: Sequence[str]) -> bytes:
    """Return one row per row of the part: DVC's confusion template counts them itself."""
    return csv_table(
        ("actual", "predicted"),
        ([classes[truth], classes[answer]] for truth, answer in zip(labels, answers, strict=True)),
    )


def roc(curves: Curves, classes: Sequence[str]) -> bytes:
    """Return the mean over the classes, then each class against the rest."""
    return _curves(curves, classes, "false_positive_rate", "true_positive_rate")


def precision_recall(curves: Curves, classes: Sequence[str]) -> bytes:
    """Return the mean over the classes, then each class against the rest."""
    return _curves(curves, classes, "recall", "precision")


def calibration(bins: Calibration) -> bytes:
    """Return one row per bin that holds rows."""
    columns = (bins.confidence.tolist(), bins.accuracy.tolist(), bins.rows.tolist())
    return csv_table(("confidence", "accuracy", "rows"), zip(*columns, strict=True))


def _curves(curves: Curves, classes: Sequence[str], x: str, y: str) -> bytes:
    points = zip(curves.x.tolist(), curves.macro.tolist(), *curves.y.tolist(), strict=True)
    return csv_table((x, y, *(f"{y} of {name}" for name in classes)), points)
