"""What each row adds to a metric: values by row whose mean is the metric, so that its limits are those of a mean.

A metric is a function of the distribution of rows. Its value at a row is the metric plus the influence of that row:
how fast the metric would move if that row grew more frequent (Hampel, JASA 69, 1974). Of a mean over rows, these are
the terms themselves; of any other metric they describe it to first order, which is what its sampling error depends on
(the delta method; for the AUC these are the placements of DeLong, DeLong & Clarke-Pearson, Biometrics 44, 1988).

Labels and probabilities are those of `metrics`; conventions for undefined cases too. All values are `float64`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.classification import metrics
from pipeline.evaluation.classification.metrics import Labels, Probabilities
from pipeline.recipe.task import NOTHING_DECLARED, Declared, RowValues, rows_of

Values = npt.NDArray[np.float64]


class ClassRowValues(RowValues):
    """The values of one part. What several metrics need (the classes' confusion, each class's AUC) is found once."""

    def __init__(
        self,
        labels: Labels,
        probabilities: Probabilities,
        classes: Sequence[str],
        *,
        calibration_bins: int,
        declared: Declared = NOTHING_DECLARED,
        threshold: float = metrics.EVEN,
    ) -> None:
        self._declared, self._threshold = declared, threshold
        self._labels, self._probabilities, self._classes = labels, probabilities, tuple(classes)
        self._bins = calibration_bins
        self._auc = cache(lambda number: _auc(labels == number, probabilities[:, number]))

    def of(self, metric: str) -> Values:
        """Return the values `[row]` of a metric of the part."""
        labels, probabilities = self._labels, self._probabilities
        by_metric: dict[str, Callable[[], Values]] = {
            "accuracy": lambda: self._table.right,
            "macro_precision": lambda: _macro_precision(self._table),
            "macro_recall": lambda: _macro_recall(self._table),
            "macro_f1": lambda: _macro_f1(self._table),
            "auc": self._macro_auc,
            "mcc": lambda: _mcc(self._table),
            "cross_entropy": lambda: metrics.surprise(labels, probabilities),
            "calibration_error": lambda: _calibration_error(labels, probabilities, bins=self._bins),
        }
        return by_metric[metric]()

    def of_slice(self, column: str, value: str, metric: str) -> Values:
        """Return the values of a metric of one class, over the rows that it speaks of: for the AUC all.

        For recall the rows of the class, for precision those predicted as it, for F1 those that are either. There may
        be none that were predicted as it. Of a declared slice, those of its rows.
        """
        if column in self._declared:
            return self.of(metric)[rows_of(self._declared[column], value)]
        number = self._classes.index(value)
        if metric == "auc":
            return self._auc(number)
        is_true, is_predicted = self._labels == number, self._table.answers == number
        if metric == "recall":
            return np.asarray(is_predicted[is_true], np.float64)
        if metric == "precision":
            return np.asarray(is_true[is_predicted], np.float64)
        # F1 = 2 s / (1 + s), where s is the share of hits in the rows that are of the class or predicted as it.
        hit = (is_true & is_predicted)[is_true | is_predicted].astype(np.float64)
        share = hit.mean()
        values: Values = 2 * share / (1 + share) + 2 / (1 + share) ** 2 * (hit - share)
        return values

    @cached_property
    def _table(self) -> _Table:
        return _Table(self._labels, self._probabilities, self._threshold)

    def _macro_auc(self) -> Values:
        values = np.zeros(len(self._labels))
        for number in range(len(self._classes)):
            values += self._auc(number) / len(self._classes)
        return values


class _Table:
    """The confusion of classes: `truth`, `predicted` and `found [class]` are shares of all rows."""

    def __init__(self, labels: Labels, probabilities: Probabilities, threshold: float) -> None:
        classes = probabilities.shape[1]
        self.labels = labels
        self.answers = metrics.predicted(probabilities, threshold)
        self.right = (self.answers == labels).astype(np.float64)
        self.truth = np.bincount(labels, minlength=classes) / len(labels)
        self.predicted = np.bincount(self.answers, minlength=classes) / len(labels)
        self.found = np.bincount(labels, weights=self.right, minlength=classes) / len(labels)


def _macro_recall(table: _Table) -> Values:
    recall, labels = table.found / table.truth, table.labels
    values: Values = recall.mean() + (table.right - recall[labels]) / table.truth[labels] / len(recall)
    return values


def _macro_precision(table: _Table) -> Values:
    precision = _ratio(table.found, table.predicted)
    answers = table.answers
    values: Values = precision.mean() + (table.right - precision[answers]) / table.predicted[answers] / len(precision)
    return values


def _macro_f1(table: _Table) -> Values:
    """F1 of a class is 2 · found / (truth + predicted)."""
    both = table.truth + table.predicted
    f1 = 2 * table.found / both
    share = f1 / both
    influence = 2 * table.right / both[table.labels] - share[table.labels] - share[table.answers]
    values: Values = f1.mean() + influence / len(f1)
    return values


def _mcc(table: _Table) -> Values:
    """Gorodkin's correlation of truth and prediction: their covariance by the root of the two variances."""
    truth, predicted, answers, labels = table.truth, table.predicted, table.answers, table.labels
    together, of_truth, of_answers = truth @ predicted, truth @ truth, predicted @ predicted
    covariance = table.found.sum() - together
    variance = (1 - of_truth) * (1 - of_answers)
    if variance <= 0:  # the truth or the answers never vary: no correlation, however often a row occurs
        return np.zeros(len(labels))
    moves = table.right - table.found.sum() - predicted[labels] - truth[answers] + 2 * together
    of_variances = (truth[labels] - of_truth) / (1 - of_truth) + (predicted[answers] - of_answers) / (1 - of_answers)
    correlation = covariance / np.sqrt(variance)
    values: Values = correlation + moves / np.sqrt(variance) + correlation * of_variances
    return values


def _calibration_error(labels: Labels, probabilities: Probabilities, *, bins: int) -> Values:
    """The error is the sum of the bins' gaps, each with the sign that makes it positive."""
    confidence, right, bin_of = metrics.calibration_bins(labels, probabilities, bins=bins)
    sign = np.sign(np.bincount(bin_of, weights=right - confidence, minlength=bins))
    values: Values = sign[bin_of] * (right - confidence)
    return values


def _auc(is_true: npt.NDArray[np.bool_], scores: npt.NDArray[np.floating[Any]]) -> Values:
    """The AUC is the mean placement: of a row of the class, the share of the others that score lower, ties by half."""
    order = np.argsort(scores)
    ranked, truth = scores[order], is_true[order]
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]) + 1, len(ranked))  # of each run of equal scores
    starts = np.append(0, ends[:-1])
    ours = np.append(0, np.cumsum(truth))  # rows of the class among the lowest so many
    ours_below = np.repeat((ours[starts] + ours[ends]) / 2, ends - starts)
    below = np.repeat((starts + ends) / 2, ends - starts)
    of_class, others = ours[-1], len(ranked) - ours[-1]
    placement = np.where(truth, (below - ours_below) / others, 1 - ours_below / of_class)
    auc = placement[truth].mean()
    values = np.empty(len(ranked))
    values[order] = auc + (placement - auc) * np.where(truth, len(ranked) / of_class, len(ranked) / others)
    return values


def _ratio(part: Values, whole: Values) -> Values:
    """Return part / whole, 0 where there is no whole."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
