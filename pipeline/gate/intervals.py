"""Between which limits a figure lies, at a stated confidence on each side.

A share of rows has the exact limits of Clopper & Pearson (Biometrika 26, 1934). Any other figure comes as row values,
whose mean it is (to first order), and has the limits of the studentized bootstrap: Efron & Tibshirani, An Introduction
to the Bootstrap (1993), section 12.5; Davison & Hinkley, Bootstrap Methods and their Application (1997), section 5.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

CLOPPER_PEARSON = "Clopper–Pearson"
STUDENTIZED_BOOTSTRAP = "studentized bootstrap"
RESAMPLES_IN_TAIL = 20  # beyond a limit there must be as many resamples, or it is noise

_MOST_DRAWN_FROM = 8192  # rows; more are pooled, so that a million take no longer
_DRAWN_AT_ONCE = 2**21  # numbers: 16 MiB, whatever the rows and the resamples
_FLAT = 1e-9  # a smaller spread, relative to the values, is rounding


@dataclass(frozen=True)
class Limits:
    """The two one-sided limits of a figure, each at the stated confidence, and how they were found."""

    low: float
    high: float
    how: str


def of_share(hits: int, rows: int, confidence: float) -> Limits:
    """Return the limits of a share of rows; without rows nothing is known of it: 0 and 1."""
    from scipy.special import betaincinv

    error = 1 - confidence
    low = float(betaincinv(hits, rows - hits + 1, error)) if hits else 0.0
    high = float(betaincinv(hits + 1, rows - hits, confidence)) if hits < rows else 1.0
    return Limits(low, high, CLOPPER_PEARSON)


def of_mean(
    values: Values,
    confidence: float,
    resamples: int,
    seed: Sequence[int],
    low: float = -math.inf,
    high: float = math.inf,
) -> Limits:
    """Return the limits of the mean of `values [row]`; `low` and `high` are the least and the most that it can be.

    A resample without spread counts as infinitely far on either side, so a figure that hangs on one or two rows has no
    limit but its range. No resample can show what no row shows: on a side where the range is known, the limit also
    allows for the largest share of rows at its end of which so many rows might well hold none, 1 − error^(1/n). Above
    8 192 rows they are pooled at random into as many groups. Without rows nothing is known. Raises ValueError if a
    value is not finite, or if there are fewer resamples than 20 beyond each limit.
    """
    error = 1 - confidence
    if resamples * error < RESAMPLES_IN_TAIL * (1 - _FLAT):
        fewest = math.ceil(RESAMPLES_IN_TAIL / error * (1 - _FLAT))
        raise ValueError(f"{resamples} resamples, needed are at least {fewest} at a confidence of {confidence:g}")
    if not np.isfinite(values).all():
        raise ValueError("some values are not finite")
    if not len(values):
        return Limits(low, high, STUDENTIZED_BOOTSTRAP)
    mean, spread = float(values.mean()), float(values.std())
    if spread > _FLAT * float(np.abs(values).max()):
        generator = np.random.default_rng(seed)
        below, above = _studentized(_pooled(values, generator), error, resamples, generator)
    else:
        below, above = (0.0 if math.isfinite(end) else math.inf for end in (low, high))
    unseen = 1 - error ** (1 / len(values))
    if math.isfinite(low):
        below += unseen * (mean - min(low, float(values.min())))
    if math.isfinite(high):
        above += unseen * (max(high, float(values.max())) - mean)
    return Limits(max(mean - below, low), min(mean + above, high), STUDENTIZED_BOOTSTRAP)


def _pooled(values: Values, generator: np.random.Generator) -> Values:
    """Return at most 8 192 values of the same mean: the sums of random groups, as equal in size as can be."""
    rows, groups = len(values), _MOST_DRAWN_FROM
    if rows <= groups:
        return values
    mean = values.mean()
    starts = np.arange(groups) * rows // groups
    pooled: Values = mean + np.add.reduceat(generator.permutation(values) - mean, starts) * (groups / rows)
    return pooled


def _studentized(values: Values, error: float, resamples: int, generator: np.random.Generator) -> tuple[float, float]:
    """Return how far the limits lie below and above the mean; each is infinite where the resamples give none."""
    mean = float(values.mean())
    means, deviations = (np.concatenate(each) for each in zip(*_drawn(values, resamples, generator), strict=True))
    spread = deviations > _FLAT * float(np.abs(values).max())
    far = np.divide(means - mean, deviations, out=np.full(resamples, np.inf), where=spread)
    rank = max(int(error * (resamples + 1)), 1)  # the rank-th from either end
    over = -float(np.sort(np.where(spread, far, -np.inf))[rank - 1])
    under = float(np.sort(far)[resamples - rank])
    deviation = float(values.std())
    return under * deviation, over * deviation


def _drawn(values: Values, resamples: int, generator: np.random.Generator) -> Iterator[tuple[Values, Values]]:
    """Yield the means and the standard deviations of resamples, some at a time."""
    rows = len(values)
    step = max(1, _DRAWN_AT_ONCE // rows)
    for start in range(0, resamples, step):
        drawn = values[generator.integers(0, rows, size=(min(step, resamples - start), rows))]
        yield drawn.mean(axis=1), drawn.std(axis=1)
