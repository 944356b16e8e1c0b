"""How good a classifier's predictions are, as numbers. Pure: labels and probabilities in, metrics out.

Labels are `[row] int`, the number of the true class. Probabilities are `[row, class] float`, each row non-negative and
summing to 1. The predicted class is the one with the highest probability; of several that tie, the lowest number. Of
two classes it is the second one from a `threshold` on; at ½ that is the same.

No metric is ever NaN. Undefined cases are decided here: a class without rows is refused (nothing can be said about it),
a class that is never predicted has precision 0 and F1 0, constant predictions have correlation 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError

Labels = npt.NDArray[np.integer[Any]]
Probabilities = npt.NDArray[np.floating[Any]]

# Keras clips probabilities at the same value, so the metrics agree with training.
_SMALLEST_PROBABILITY = 1e-7
EVEN = 0.5  # the threshold at which the more probable class is taken
_SUM_TOLERANCE = 1e-3


def check_answers(labels: Labels, probabilities: Probabilities, classes: Sequence[str]) -> None:
    """Raise DataError, with a clause that says why, unless the predictions can be measured.

    They can if there is a row of probabilities for each label, every class of `classes` has a row, every label is a
    class, and each row is finite, non-negative and sums to 1.
    """
    if probabilities.shape != (len(labels), len(classes)):
        raise DataError(
            f"the model answers with shape {list(probabilities.shape)}, "
            f"expected [{len(labels)}, {len(classes)}]; data.classes and the model must agree"
        )
    outside = labels[(labels < 0) | (labels >= len(classes))]
    if len(outside):
        raise DataError(f"label {int(outside[0])} is none of the {len(classes)} classes; see clean")
    rows = np.bincount(labels, minlength=len(classes))
    if not rows.all():
        name = classes[int(np.argmin(rows))]
        raise DataError(
            f"class '{name}' has no rows, so nothing can be said about it; "
            "change split, add data or take it out of data.classes"
        )
    sums = probabilities.sum(axis=1, dtype=np.float64)
    is_probability = (np.abs(sums - 1) <= _SUM_TOLERANCE) & (probabilities >= 0).all(axis=1)
    if not is_probability.all():  # a NaN fails both comparisons
        row = int(np.argmin(is_probability))
        raise DataError(
            f"the model's answer for row {row} is no probability distribution (sum {sums[row]:g}); "
            "its weights are damaged or training diverged: train again, with a lower train.learning_rate"
        )


def predicted(probabilities: Probabilities, threshold: float = EVEN) -> npt.NDArray[np.int64]:
    """Return the number of the class that each row is taken for, `[row] int64`."""
    answers: npt.NDArray[np.int64] = (
        probabilities.argmax(axis=1) if threshold == EVEN else (probabilities[:, 1] >= threshold).astype(np.int64)
    )
    return answers


def measure(
    labels: Labels, probabilities: Probabilities, *, calibration_bins: int, threshold: float = EVEN
) -> dict[str, float]:
    """Return the metrics of one part by name. The predictions must have passed `check_answers`.

    Macro metrics are plain means over the classes. AUC is the mean of one-versus-rest areas under the ROC curve
    (Provost and Domingos 2001, unweighted). MCC is the multi-class correlation of Gorodkin (2004).
    """
    from sklearn import metrics

    answers = predicted(probabilities, threshold)
    by_class = _per_class(labels, probabilities, threshold)
    return {
        "accuracy": float(metrics.accuracy_score(labels, answers)),
        **{f"macro_{name}": _mean([one[name] for one in by_class]) for name in ("precision", "recall", "f1")},
        "auc": _mean([one["auc"] for one in by_class]),
        "mcc": float(metrics.matthews_corrcoef(labels, answers)),
        "cross_entropy": cross_entropy(labels, probabilities),
        "calibration_error": calibration_error(labels, probabilities, bins=calibration_bins),
    }


def measure_classes(
    labels: Labels, probabilities: Probabilities, classes: Sequence[str], threshold: float = EVEN
) -> dict[str, dict[str, float]]:
    """Return the metrics of each class by its name, in the order of `classes`."""
    return dict(zip(classes, _per_class(labels, probabilities, threshold), strict=True))


def is_right(labels: Labels, probabilities: Probabilities, threshold: float = EVEN) -> npt.NDArray[np.float64]:
    """Return `[row]`: 1.0 where the predicted class is the true one, otherwise 0.0."""
    right: npt.NDArray[np.float64] = (predicted(probabilities, threshold) == labels).astype(np.float64)
    return right


def confusion_matrix(labels: Labels, probabilities: Probabilities, threshold: float = EVEN) -> npt.NDArray[np.int64]:
    """Return `[class, class] int64`: rows with true class i (down) that were predicted as class j (across)."""
    from sklearn import metrics

    every = np.arange(probabilities.shape[1])
    matrix: npt.NDArray[np.int64] = metrics.confusion_matrix(labels, predicted(probabilities, threshold), labels=every)
    return matrix


def cross_entropy(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean of −ln p(true class), in nats per row; p is clipped at 1e-7 from below, as Keras does."""
    return float(surprise(labels, probabilities).mean())


def surprise(labels: Labels, probabilities: Probabilities) -> npt.NDArray[np.float64]:
    """Return `[row]` −ln p(true class), in nats, p clipped as in `cross_entropy`."""
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    nats: npt.NDArray[np.float64] = -np.log(np.clip(of_truth, _SMALLEST_PROBABILITY, 1.0))
    return nats


def calibration_error(labels: Labels, probabilities: Probabilities, *, bins: int) -> float:
    """Return the expected calibration error: the mean gap between confidence and accuracy over equal-width bins.

    Guo et al., "On Calibration of Modern Neural Networks" (2017), equation 3: bins of the confidence in the predicted
    class, `(m−1)/M < confidence ≤ m/M`, each weighted by its rows; an empty bin weighs nothing.
    """
    confidence, right, bin_of = calibration_bins(labels, probabilities, bins=bins)
    gaps = np.bincount(bin_of, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def calibration_bins(
    labels: Labels, probabilities: Probabilities, *, bins: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return for each row its confidence, whether it is right (1.0 or 0.0), and the number of its bin.

    Both are of the class with the highest probability, whatever the threshold: its confidence is what is calibrated.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    bin_of = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    return confidence, is_right(labels, probabilities), bin_of


def _per_class(labels: Labels, probabilities: Probabilities, threshold: float) -> list[dict[str, float]]:
    from sklearn import metrics

    every = np.arange(probabilities.shape[1])
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        labels, predicted(probabilities, threshold), labels=every, average=None, zero_division=0.0
    )
    return [
        {
            "precision": float(precision[number]),
            "recall": float(recall[number]),
            "f1": float(f1[number]),
            "auc": auc(labels == number, probabilities[:, number]),
        }
        for number in every
    ]


def auc(is_true: npt.NDArray[np.bool_], scores: npt.NDArray[np.floating[Any]]) -> float:
    """Return the area under the ROC curve: how often a row of the class scores higher than another one, ties by half.

    By ranks, as the statistic of Mann & Whitney (Annals of Mathematical Statistics 18, 1947); both kinds must occur.
    """
    ours, others = np.sort(scores[is_true]), np.sort(scores[~is_true])
    below = np.searchsorted(others, ours, "left").sum() + np.searchsorted(others, ours, "right").sum()
    return float(below / 2 / len(ours) / len(others))


def _mean(figures: Sequence[float]) -> float:
    return float(np.mean(figures))
