"""Figures of numbers of which it is known how often each comes: `values [number] float64` rising, `counts [number]`.

Sums are correctly rounded (math.fsum: Shewchuk, Adaptive precision floating-point arithmetic, 1997), so no order of
rows can change a figure. None is outside the values: of equal ones, mean and median are that one, the deviation is 0.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def mean(values: Values, counts: Counts) -> float:
    """Return the arithmetic mean."""
    found = _total(values * counts) / int(counts.sum())
    return float(min(max(found, values[0]), values[-1]))


def deviation(values: Values, counts: Counts) -> float:
    """Return the (population) standard deviation, by two passes corrected for the first's rounding.

    Chan, Golub & LeVeque, Algorithms for computing the sample variance, 1983, formula 1.7.
    """
    distances = values - mean(values, counts)
    furthest = float(np.abs(distances).max())
    if furthest == 0:
        return 0.0
    shares, rows = distances / furthest, int(counts.sum())  # so no square is beyond float64, nor lost
    variance = (_total(shares * shares * counts) - _total(shares * counts) ** 2 / rows) / rows
    return furthest * math.sqrt(max(variance, 0.0))


def quantile(values: Values, counts: Counts, share: float) -> float:
    """Return the value below which a share of the rows is: between two of them by where it is, type 7.

    Hyndman & Fan, Sample quantiles in statistical packages, 1996; NumPy's and R's default.
    """
    last = np.cumsum(counts)  # of each value, the number of its last row
    position = (int(last[-1]) - 1) * share
    below = math.floor(position)
    lower, upper = (float(values[np.searchsorted(last, row, side="right")]) for row in (below, math.ceil(position)))
    return lower + (position - below) * (upper - lower)


def mode(values: Values, counts: Counts) -> float:
    """Return the value that comes most often, of several the lowest."""
    return float(values[np.argmax(counts)])


def _total(numbers: Values) -> float:
    return math.fsum(numbers.tolist())
