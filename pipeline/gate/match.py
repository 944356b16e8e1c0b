"""A match of two models on the same rows, judged by what their scores are: rows right or wrong, or losses.

Right or wrong: only the rows that one alone has right count (`paired`). Losses: the differences of the rows' scores
count (`paired_losses`). A rule asks here, and does not tell the two apart. A margin is a share of rows in the first
case, and in the score's unit in the second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.gate import paired, paired_losses
from pipeline.gate.paired import Counts
from pipeline.gate.paired_losses import Losses

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Scores = npt.NDArray[np.float64]

Match = Counts | Losses


def meet(candidate: Scores, other: Scores, *, is_share: bool) -> Match:
    """Return the match of scores `[row] float64`; `is_share` says that each is right or wrong. Raises ValueError."""
    return paired.count(candidate, other) if is_share else paired_losses.compare(candidate, other)


def is_alike(match: Match) -> bool:
    """Return whether no row tells the two apart."""
    return match.won == match.lost == 0


def chance(match: Match) -> float:
    """Return how easily a model that is no better would have done as well."""
    return paired.mid_p(match) if isinstance(match, Counts) else paired_losses.chance(match)


def chance_of_worse(match: Match) -> float:
    """Return how easily a model that is no worse would have done as badly."""
    if isinstance(match, Losses):
        return paired_losses.chance(match.reversed)
    return paired.mid_p(Counts(match.rows, won=match.lost, lost=match.won))


def score(match: Match, margin: float) -> float:
    """Return how sure it is that the candidate is not worse by `margin`: a value of a standard normal variable."""
    if isinstance(match, Losses):
        return paired_losses.score(match, margin)
    return paired.tango(match.won, match.lost, match.rows, margin)


def has_power(match: Match, margin: float, z: float) -> bool:
    """Return whether an equal model passes more often than not."""
    if isinstance(match, Losses):
        return paired_losses.has_power(match, margin, z)
    return paired.has_power(match, margin, z)


def rows_for_power(match: Match, margin: float, z: float) -> int | None:
    """Return the fewest rows on which an equal model would have power; None if that cannot be told."""
    if isinstance(match, Losses):
        return paired_losses.rows_for_power(match, margin, z)
    return paired.rows_for_power(match, margin, z) if match.rows else None
