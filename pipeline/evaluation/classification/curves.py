"""How good a classifier is at every threshold, as curves. Pure, with the same inputs as `metrics`.

Curves are sampled on a fixed grid, so that a file has the same few rows whatever the size of the part, and curves
of several runs can be overlaid. Nothing is interpolated between two operating points: each value was really reached.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.classification.metrics import Labels, Probabilities, calibration_bins

Values = npt.NDArray[np.float64]

_STEPS = 200
# Good models operate near a false positive rate of 0: the grid is denser there.
FALSE_POSITIVE_GRID: Values = (np.arange(_STEPS + 1) / _STEPS) ** 3
RECALL_GRID: Values = np.arange(_STEPS + 1) / _STEPS


@dataclass(frozen=True)
class Curves:
    """One curve per class, `y [class, point]` over a shared `x [point]`; `macro [point]` is their mean."""

    x: Values
    y: Values

    @property
    def macro(self) -> Values:
        """The mean over the classes at each point."""
        mean: Values = self.y.mean(axis=0)
        return mean


@dataclass(frozen=True)
class Calibration:
    """The bins that hold rows, in order of confidence: `[bin]` mean confidence, accuracy and rows."""

    confidence: Values
    accuracy: Values
    rows: npt.NDArray[np.int64]


def roc(labels: Labels, probabilities: Probabilities) -> Curves:
    """Return each class against the rest: the highest true positive rate at a false positive rate of at most x."""
    from sklearn import metrics

    curves = []
    for number in range(probabilities.shape[1]):
        false_rate, true_rate, _ = metrics.roc_curve(labels == number, probabilities[:, number])
        # Both rates rise together, so the last point at or below x is the best one.
        curves.append(true_rate[np.searchsorted(false_rate, FALSE_POSITIVE_GRID, side="right") - 1])
    return Curves(FALSE_POSITIVE_GRID, np.stack(curves))


def precision_recall(labels: Labels, probabilities: Probabilities) -> Curves:
    """Return each class against the rest: the precision at the highest threshold whose recall is at least x.

    Linear interpolation between points of this curve is too optimistic (Davis and Goadrich 2006), hence the steps.
    """
    from sklearn import metrics

    curves = []
    for number in range(probabilities.shape[1]):
        precision, recall, _ = metrics.precision_recall_curve(labels == number, probabilities[:, number])
        # scikit-learn adds an artificial last point (precision 1, recall 0); reversed, recall rises.
        rising_precision, rising_recall = precision[-2::-1], recall[-2::-1]
        curves.append(rising_precision[np.searchsorted(rising_recall, RECALL_GRID, side="left")])
    return Curves(RECALL_GRID, np.stack(curves))


def calibration(labels: Labels, probabilities: Probabilities, *, bins: int) -> Calibration:
    """Return accuracy by confidence, in the bins of the expected calibration error."""
    confidence, is_right, bin_of = calibration_bins(labels, probabilities, bins=bins)
    rows = np.bincount(bin_of, minlength=bins)
    filled = rows > 0
    return Calibration(
        confidence=np.bincount(bin_of, weights=confidence, minlength=bins)[filled] / rows[filled],
        accuracy=np.bincount(bin_of, weights=is_right, minlength=bins)[filled] / rows[filled],
        rows=rows[filled],
    )
