"""Two models on the same rows: is one better, and is it not much worse? Only the rows that one alone has right count.

`won` and `lost` are the rows that only the candidate and only the other has right; all others say nothing of which is
better. Sources: McNemar's test with the mid-p, Fagerland, Lydersen & Laake, BMC Medical Research Methodology 13 (2013);
the score for a difference of paired shares, Tango, Statistics in Medicine 17 (1998). Quick to import: a recipe's check
asks how many rows a test needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import TypeVar

    import numpy as np
    import numpy.typing as npt

    Scores = npt.NDArray[np.float64]
    Number = TypeVar("Number", float, Scores)

POWER = 0.8  # "would be found four times in five"
_SMALLEST = 1e-300  # an error below it is as good as none
_MOST_ROWS = 10**18  # more than anybody has


@dataclass(frozen=True)
class Counts:
    """Of `rows`, those that only the candidate has right (`won`), and those that only the other has right (`lost`)."""

    rows: int
    won: int
    lost: int


def count(candidate: Scores, other: Scores) -> Counts:
    """Count the rows where the candidate scores higher, and lower, of scores `[row]`.

    Raises ValueError if the two differ in length, or if a score is not finite.
    """
    import numpy as np

    if candidate.shape != other.shape:
        raise ValueError(f"{candidate.shape[0]} rows of one, {other.shape[0]} of the other")
    if not (np.isfinite(candidate).all() and np.isfinite(other).all()):
        raise ValueError("some scores are not finite")
    return Counts(len(candidate), int(np.count_nonzero(candidate > other)), int(np.count_nonzero(candidate < other)))


def mid_p(counts: Counts) -> float:
    """Return how easily a model that is no better would have won as much; ½ if the two answer alike."""
    return float(mid_p_of(counts.won, counts.lost))


def mid_p_of(won: Any, lost: Any) -> Any:
    """Return McNemar's one-sided mid-p, P(X > won) + ½ P(X = won) with X ~ Bin(won + lost, ½); arrays are welcome."""
    from scipy.special import bdtrc

    decided = won + lost
    return (bdtrc(won, decided, 0.5) + bdtrc(won - 1, decided, 0.5)) / 2


def z_at(error: float) -> float:
    """Return the value that a standard normal variable exceeds with probability `error`."""
    return -NormalDist().inv_cdf(max(error, _SMALLEST))


def tango(won: Number, lost: Number, rows: int, margin: float) -> Number:
    """Return Tango's score Z: the higher, the less likely is "the candidate is worse by `margin` (0 to 1)".

    `won` and `lost` may be fractions, or arrays. Raises ValueError without rows.
    """
    if rows == 0:
        raise ValueError("no rows")
    # The likeliest share of lost rows, if the candidate is worse by exactly the margin: the upper root of
    # 2n q² + B q + C, which is where the likelihood of (won, lost, tied) has its maximum under that constraint.
    b = -(won + lost) - (2 * rows - won + lost) * margin
    c = lost * margin * (1 + margin)
    q = ((b * b - 8 * rows * c) ** 0.5 - b) / (4 * rows)
    z: Number = (won - lost + rows * margin) / (rows * (2 * q - margin * (1 + margin))) ** 0.5
    return z


def rows_needed(margin: float, error: float) -> int:
    """Return the fewest rows on which a model passes that answers as the other does: on fewer it must win rows to pass.

    Where nothing is won or lost, Z = √(n margin / (1 − margin)).
    """
    return math.ceil(min(z_at(error) ** 2 * (1 - margin) / margin, _MOST_ROWS))


def has_power(counts: Counts, margin: float, z: float) -> bool:
    """Return whether an equal model would pass at least every second time.

    The median outcome of an equal model that differs on as many rows wins half of them and loses the other half.
    """
    return counts.rows > 0 and _score_of_equal(counts, margin) >= z


def rows_for_power(counts: Counts, margin: float, z: float) -> int:
    """Return the fewest rows at which an equal model has power, if as large a share of rows tells the two apart.

    At given shares, Z grows with the root of the rows. Raises ValueError without rows.
    """
    return math.ceil(counts.rows * (z / _score_of_equal(counts, margin)) ** 2)


def detectable_gain(counts: Counts, *, error: float = 0.05, total: tuple[float, float] | None = None) -> float:
    """Return the gain (a share of rows) that would be found four times in five, at as many rows and differences.

    (z(error) + z(0.2)) √(D/n), where D is the share of rows that tells the two apart; with `total`, the margin S and
    its z, not less than (z + z(0.2)) √(D/n) − S. Raises ValueError without rows.
    """
    deviation = math.sqrt(_told_apart(counts) / counts.rows)
    step = (z_at(error) + z_at(1 - POWER)) * deviation
    if total is None:
        return step
    margin, z = total
    return max(step, (z + z_at(1 - POWER)) * deviation - margin)


def rows_for_gain(counts: Counts, gain: float, *, error: float = 0.05, total: tuple[float, float] | None = None) -> int:
    """Return the fewest rows on which a gain (a share of rows, above 0) would be found four times in five.

    The inverse of `detectable_gain`. Raises ValueError without rows.
    """
    share = _told_apart(counts)
    step = share * ((z_at(error) + z_at(1 - POWER)) / gain) ** 2
    if total is None:
        return math.ceil(step)
    margin, z = total
    return math.ceil(max(step, share * ((z + z_at(1 - POWER)) / (gain + margin)) ** 2))


def _score_of_equal(counts: Counts, margin: float) -> float:
    half = (counts.won + counts.lost) / 2
    return tango(half, half, counts.rows, margin)


def _told_apart(counts: Counts) -> float:
    """Return the share of rows that tells the two apart, at least one row's: that none does is never certain."""
    if counts.rows == 0:
        raise ValueError("no rows")
    return max(counts.won + counts.lost, 1) / counts.rows
