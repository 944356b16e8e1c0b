"""What is shown about a candidate: tables for DVC and drawings for the page, each by its file name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.evaluation import curves, metrics, plot_data, plots
from pipeline.evaluation.predictions import Predictions
from pipeline.records.training_history import History


@dataclass(frozen=True)
class Findings:
    """A training's history, the predictions on the test part, and the curves computed from them."""

    history: History
    test: Predictions
    classes: Sequence[str]
    roc: curves.Curves
    precision_recall: curves.Curves
    calibration: curves.Calibration

    def tables(self) -> dict[str, bytes]:
        """Return the CSV files behind `dvc plots show`."""
        labels, probabilities = self.test.labels, self.test.probabilities
        return {
            "learning_curves.csv": plot_data.learning_curves(self.history),
            "confusion.csv": plot_data.confusion(labels, probabilities, self.classes),
            "roc.csv": plot_data.roc(self.roc, self.classes),
            "precision_recall.csv": plot_data.precision_recall(self.precision_recall, self.classes),
            "calibration.csv": plot_data.calibration(self.calibration),
        }

    def drawings(self) -> dict[str, bytes]:
        """Return the SVG files of the page."""
        matrix = metrics.confusion_matrix(self.test.labels, self.test.probabilities)
        return {
            "learning_curves.svg": plots.learning_curves(self.history),
            "confusion.svg": plots.confusion(matrix, self.classes),
            "roc.svg": plots.roc(self.roc, self.classes),
            "precision_recall.svg": plots.precision_recall(self.precision_recall, self.classes),
            "calibration.svg": plots.calibration(self.calibration),
        }


def find(history: History, test: Predictions, classes: Sequence[str], *, calibration_bins: int) -> Findings:
    """Compute the curves from the predictions on the test part."""
    labels, probabilities = test.labels, test.probabilities
    return Findings(
        history,
        test,
        classes,
        roc=curves.roc(labels, probabilities),
        precision_recall=curves.precision_recall(labels, probabilities),
        calibration=curves.calibration(labels, probabilities, bins=calibration_bins),
    )
