"""Two models on the same rows, whose scores are losses: is one better on average, and is it not much worse?

A row has a difference of scores, positive where the candidate is better. That their mean is above some figure is tested
by Student's t, its skewness removed by the transformation of Hall (Journal of the Royal Statistical Society B 54, 1992,
"On the removal of skewness by transformation"): losses are skewed, and the mean of skewed differences seems too good
just where the rare large losses are missing from the rows. It is monotone in the mean.

No test can bound the mean of values that may be arbitrarily large (Bahadur & Savage, Annals of Mathematical Statistics
27, 1956): a fault that no row shows may cost anything. So where a model must not be worse by a margin, it must also
hold that a fault common enough to cost that much would have shown itself in so many rows, with the same confidence; it
is taken to cost as much as lies between the best and the worst score of either model on these rows, its `reach`.

What is needed of the rows are five figures, so that a test can be worked out again from a verdict. Quick to import.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from pipeline.gate.paired import POWER, z_at

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Scores = npt.NDArray[np.float64]

_SMALLEST = 1e-300  # a chance below it is as good as none
_LARGEST = 1 - 1e-16
_FLAT = 1e-9  # a smaller spread, relative to the values, is rounding
_MOST_ROWS = 10**18  # more than anybody has
Total = tuple[float, float]  # a margin, and the score that is needed for it


@dataclass(frozen=True)
class Losses:
    """Of `rows`, those where the candidate scores higher (`won`) and lower (`lost`), and the differences of scores.

    `mean`, `deviation` and `reach` are in the unit of the score. `reach` lies between the best and the worst score.
    """

    rows: int
    won: int
    lost: int
    mean: float
    deviation: float
    skewness: float
    reach: float

    @property
    def reversed(self) -> Losses:
        """The same, seen from the other model."""
        return Losses(self.rows, self.lost, self.won, -self.mean, self.deviation, -self.skewness, self.reach)


def compare(candidate: Scores, other: Scores) -> Losses:
    """Compare scores `[row] float64`, higher is better.

    Raises ValueError if the two differ in length, or if a score is not finite.
    """
    import numpy as np

    if candidate.shape != other.shape:
        raise ValueError(f"{candidate.shape[0]} rows of one, {other.shape[0]} of the other")
    if not (np.isfinite(candidate).all() and np.isfinite(other).all()):
        raise ValueError("some scores are not finite")
    rows = len(candidate)
    if not rows:
        return Losses(0, 0, 0, 0.0, 0.0, 0.0, 0.0)
    differences = candidate - other
    mean = float(differences.mean())
    around = differences - mean
    deviation = float(np.sqrt((around**2).sum() / max(rows - 1, 1)))
    if deviation <= _FLAT * float(np.abs(differences).max()):
        deviation, skewness = 0.0, 0.0
    else:
        skewness = float((around**3).mean()) / deviation**3
    return Losses(
        rows,
        int(np.count_nonzero(differences > 0)),
        int(np.count_nonzero(differences < 0)),
        mean,
        deviation,
        skewness,
        float(max(candidate.max(), other.max()) - min(candidate.min(), other.min())),
    )


def chance(losses: Losses) -> float:
    """Return how easily a model that is no better would have done as well; ½ if nothing tells the two apart."""
    if not losses.won and not losses.lost:
        return 0.5
    return max(_chance_of_mean(losses, 0.0), _SMALLEST)


def score(losses: Losses, margin: float) -> float:
    """Return how sure it is that the candidate is not worse by `margin`, as a value of a standard normal variable.

    It is the lesser of two: by the mean of the differences, and by what no row has shown. 0 without two rows, or where
    all scores are the same: such rows could not show anything.
    """
    if losses.rows < 2 or losses.reach <= 0:
        return 0.0
    return min(_z_of(_chance_of_mean(losses, margin)), _z_of(_chance_of_unseen(losses, margin)))


def has_power(losses: Losses, margin: float, z: float) -> bool:
    """Return whether a model that is as good, and differs as much on these rows, passes more often than not."""
    return score(_equal(losses), margin) >= z


def rows_for_power(losses: Losses, margin: float, z: float) -> int | None:
    """Return the fewest rows on which an equal model has power, if rows like these differ as much; None if never."""
    if losses.reach <= 0:
        return None
    by_mean = (z * losses.deviation / margin) ** 2
    return max(_rows(max(by_mean, _rows_to_see(margin / losses.reach, z))), losses.rows + 1)


def detectable_gain(losses: Losses, *, error: float, total: Total | None = None) -> float:
    """Return the gain that would be found four times in five, on as many rows that differ as much.

    (z(error) + z(0.2)) s/√n; with `total`, not less than what its margin and its z ask for. Raises ValueError without
    rows.
    """
    if losses.rows == 0:
        raise ValueError("no rows")
    deviation = losses.deviation / math.sqrt(losses.rows)
    step = (z_at(error) + z_at(1 - POWER)) * deviation
    if total is None:
        return step
    margin, z = total
    unseen = losses.reach * -math.expm1(math.log(_error_at(z)) / losses.rows)
    return max(step, (z + z_at(1 - POWER)) * deviation - margin, unseen - margin)


def rows_for_gain(losses: Losses, gain: float, *, error: float, total: Total | None = None) -> int:
    """Return the fewest rows on which a gain (above 0) would be found four times in five: `detectable_gain` inverted.

    Raises ValueError without rows.
    """
    if losses.rows == 0:
        raise ValueError("no rows")
    step = ((z_at(error) + z_at(1 - POWER)) * losses.deviation / gain) ** 2
    if total is None:
        return _rows(step)
    margin, z = total
    by_mean = ((z + z_at(1 - POWER)) * losses.deviation / (gain + margin)) ** 2
    seen = _rows_to_see((gain + margin) / losses.reach, z) if losses.reach > 0 else 0.0
    return _rows(max(step, by_mean, seen))


def _chance_of_mean(losses: Losses, margin: float) -> float:
    """Return the chance of such a mean if the true one were -margin: Hall's transformation, then Student's t."""
    from scipy.special import stdtr

    above, rows, skewness = losses.mean + margin, losses.rows, losses.skewness
    if rows < 2:
        return 0.5
    if losses.deviation == 0:
        return 0.5 if above == 0 else _SMALLEST if above > 0 else _LARGEST
    s = above / losses.deviation
    t = math.sqrt(rows) * (s + skewness * s**2 / 3 + skewness**2 * s**3 / 27 + skewness / (6 * rows))
    return float(stdtr(rows - 1, -t))


def _chance_of_unseen(losses: Losses, margin: float) -> float:
    """Return the chance that none of the rows shows a fault that costs as much as is left of the margin."""
    share = (losses.mean + margin) / losses.reach  # of rows that have the fault, if each costs the reach
    if share <= 0:
        return _LARGEST
    return math.exp(max(losses.rows * math.log1p(-share), math.log(_SMALLEST))) if share < 1 else _SMALLEST


def _z_of(error: float) -> float:
    return -NormalDist().inv_cdf(min(max(error, _SMALLEST), _LARGEST))


def _error_at(z: float) -> float:
    return max(NormalDist().cdf(-z), _SMALLEST)


def _equal(losses: Losses) -> Losses:
    return Losses(losses.rows, losses.won, losses.lost, 0.0, losses.deviation, 0.0, losses.reach)


def _rows_to_see(share: float, z: float) -> float:
    """Return on how many rows a fault in such a share of rows shows itself, at the confidence of z."""
    return 1.0 if share >= 1 else math.log(_error_at(z)) / math.log1p(-share)


def _rows(number: float) -> int:
    return math.ceil(min(number, _MOST_ROWS))
