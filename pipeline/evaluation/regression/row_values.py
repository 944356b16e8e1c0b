"""What each row adds to a metric: values by row whose mean is the metric, so that its limits are those of a mean.

Of a mean over rows these are the terms themselves. Of any other metric, a row's value is the metric plus the influence
of that row: how fast the metric would move if the row grew more frequent (Hampel, JASA 69, 1974).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.evaluation.regression.metrics import Answers, Labels, Numbers, errors
from pipeline.recipe.task import NOTHING_DECLARED, Declared, RowValues, rows_of


class NumberRowValues(RowValues):
    """The values of one part, and of its slices."""

    def __init__(self, labels: Labels, answers: Answers, declared: Declared = NOTHING_DECLARED) -> None:
        self._labels, self._errors, self._declared = labels, errors(labels, answers), declared

    def of(self, metric: str) -> Numbers:
        """Return the values `[row]` of a metric of the part."""
        return _values(metric, self._labels, self._errors)

    def of_slice(self, column: str, value: str, metric: str) -> Numbers:
        """Return those of a metric of a declared slice, over its rows."""
        rows = rows_of(self._declared[column], value)
        return _values(metric, self._labels[rows], self._errors[rows])


def _values(metric: str, labels: Labels, off: Numbers) -> Numbers:
    if not len(off):
        return off
    by_metric: dict[str, Callable[[], Numbers]] = {
        "mae": lambda: np.abs(off),
        "mse": lambda: off**2,
        "rmse": lambda: _rmse(off),
        "r2": lambda: _r2(labels, off),
        "bias": lambda: off if off.mean() >= 0 else -off,
    }
    return by_metric[metric]()


def _rmse(off: Numbers) -> Numbers:
    squares = off**2
    root = np.sqrt(squares.mean())
    values: Numbers = root + (squares - squares.mean()) / (2 * root) if root > 0 else np.zeros(len(off))
    return values


def _r2(labels: Labels, off: Numbers) -> Numbers:
    """R² is 1 − a / b, of the mean of squares a and the variance b; the variance of a row moves with (y − ȳ)² − b."""
    squares, around = off**2, (labels - labels.mean()) ** 2
    a, b = squares.mean(), around.mean()
    if b <= 0:
        return np.zeros(len(off))
    values: Numbers = 1 - a / b - (squares - a) / b + a * (around - b) / b**2
    return values
