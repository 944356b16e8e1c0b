"""Whether one classifier is at least as good as another on the same rows: paired bootstrap, one-sided.

Both classifiers classify the same rows, so a row is one of three: won (only the first is right), lost (only the second
is right), or tied. The difference in accuracy is `(won − lost) / rows`. Drawing `rows` rows with replacement makes the
three counts multinomial, so drawing the counts gives exactly the same distribution as drawing row by row.
Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 8 (pairs are drawn together) and
section 13.3 (percentile limits).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BoolVector = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Difference:
    """The candidate's `difference` from the champion, a fraction of `rows`, positive if the candidate is better.

    `lower` is its one-sided lower confidence limit. Without rows nothing is known: both are NaN.
    """

    rows: int
    won: int
    lost: int
    difference: float
    lower: float


def compare(
    candidate_is_right: BoolVector,
    champion_is_right: BoolVector,
    *,
    confidence: float,
    resamples: int,
    seed: Sequence[int],
) -> Difference:
    """Compare two classifiers by which rows each classifies correctly, `[row] bool`.

    The limit is the percentile limit, never above the difference itself. It reflects only losses that occur in the
    rows: no resampling can find a rare fault that no row shows. Raises ValueError if the two differ in length.
    """
    if candidate_is_right.shape != champion_is_right.shape:
        raise ValueError(f"{candidate_is_right.shape[0]} rows of one, {champion_is_right.shape[0]} of the other")
    rows = len(candidate_is_right)
    if rows == 0:
        return Difference(0, 0, 0, float("nan"), float("nan"))
    won = int(np.count_nonzero(candidate_is_right & ~champion_is_right))
    lost = int(np.count_nonzero(champion_is_right & ~candidate_is_right))
    shares = np.array([won, lost, rows - won - lost]) / rows
    drawn = np.random.default_rng(seed).multinomial(rows, shares, size=resamples)
    differences = np.sort(drawn[:, 0] - drawn[:, 1])
    rank = max(int((1 - confidence) * (resamples + 1)), 1)  # as in section 12.4: the rank-th smallest of the resamples
    lower = int(differences[rank - 1])
    return Difference(rows, won, lost, (won - lost) / rows, min(lower, won - lost) / rows)


def compare_recalls(
    labels: npt.NDArray[np.int32],
    candidate_is_right: BoolVector,
    champion_is_right: BoolVector,
    *,
    classes: int,
    confidence: float,
    resamples: int,
    seed: int,
) -> list[Difference]:
    """Compare the recall of every class: the accuracy within the rows of one label is that class's recall.

    Each limit has the stated confidence; none is widened for the number of classes. A gate that promotes only if
    *every* class passes tests the union of the hypotheses "this class has lost too much" against the intersection of
    their complements; such a test errs at most as often as one of its parts, whatever their number (Berger 1982,
    Technometrics 24(4), intersection–union). What grows with the number of classes is the chance of refusing a good
    candidate: the price is a margin per class wider than the overall margin.
    """
    return [
        compare(
            candidate_is_right[labels == label],
            champion_is_right[labels == label],
            confidence=confidence,
            resamples=resamples,
            seed=(seed, label + 1),
        )
        for label in range(classes)
    ]
