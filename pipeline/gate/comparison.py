"""Whether one model is at least as good as another on the same rows: paired bootstrap, one-sided.

Both models answer the same rows, and each answer has a score: so a row has a difference of scores, and the models
differ by the mean of these. Drawing `rows` rows with replacement makes the numbers of each *distinct* difference
multinomial, so drawing these numbers gives exactly the same distribution as drawing row by row; where an answer is
right or wrong there are three: won, lost and tied. Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993),
chapter 8 (pairs are drawn together) and section 13.3 (percentile limits).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.recipe.task import Slices

Scores = npt.NDArray[np.float64]

_DRAWN_AT_ONCE = 2**21  # numbers: 16 MiB, whatever the rows and the resamples


@dataclass(frozen=True)
class Difference:
    """The candidate's mean `difference` from the champion over `rows`, positive if the candidate is better.

    `won` and `lost` count the rows where it scores higher and lower. `lower` is its one-sided lower confidence limit.
    Without rows nothing is known: difference and limit are NaN.
    """

    rows: int
    won: int
    lost: int
    difference: float
    lower: float


def compare(
    candidate: Scores, champion: Scores, *, confidence: float, resamples: int, seed: Sequence[int]
) -> Difference:
    """Compare two models by their scores, `[row] float64`, higher is better.

    The limit is the percentile limit, never above the difference itself. It reflects only losses that occur in the
    rows: no resampling can find a rare fault that no row shows. Raises ValueError if the two differ in length, or if a
    score is not finite.
    """
    if candidate.shape != champion.shape:
        raise ValueError(f"{candidate.shape[0]} rows of one, {champion.shape[0]} of the other")
    if not (np.isfinite(candidate).all() and np.isfinite(champion).all()):
        raise ValueError("some scores are not finite")
    rows = len(candidate)
    if rows == 0:
        return Difference(0, 0, 0, float("nan"), float("nan"))
    differences = candidate - champion
    difference = float(differences.sum() / rows)
    sums = np.sort(np.concatenate(list(_resampled_sums(differences, resamples, seed))))
    rank = max(int((1 - confidence) * (resamples + 1)), 1)  # as in section 12.4: the rank-th smallest of the resamples
    lower = float(sums[rank - 1] / rows)
    won, lost = int(np.count_nonzero(differences > 0)), int(np.count_nonzero(differences < 0))
    return Difference(rows, won, lost, difference, min(lower, difference))


def compare_slices(
    slices: Mapping[str, Slices], candidate: Scores, champion: Scores, *, confidence: float, resamples: int, seed: int
) -> dict[str, dict[str, Difference]]:
    """Compare two models within every slice, by its column and its name.

    Each limit has the stated confidence; none is widened for the number of slices. A gate that promotes only if
    *every* slice passes tests the union of the hypotheses "this slice has lost too much" against the intersection of
    their complements; such a test errs at most as often as one of its parts, whatever their number (Berger 1982,
    Technometrics 24(4), intersection–union). What grows with the number of slices is the chance of refusing a good
    candidate: the price is a margin per slice wider than the overall margin.
    """
    found: dict[str, dict[str, Difference]] = {}
    first = 1  # 0 is the seed of the comparison over all rows
    for column, divided in slices.items():
        found[column] = {}
        for number, name in enumerate(divided.names):
            of_slice = divided.number_of == number
            found[column][name] = compare(
                candidate[of_slice],
                champion[of_slice],
                confidence=confidence,
                resamples=resamples,
                seed=(seed, first + number),
            )
        first += len(divided.names)
    return found


def _resampled_sums(differences: Scores, resamples: int, seed: Sequence[int]) -> Iterator[Scores]:
    """Yield the sum of the differences in each resample, some resamples at a time."""
    rows = len(differences)
    values, counts = np.unique(differences[differences != 0], return_counts=True)
    # The rest, a difference of 0, is the last category: the one of which the others leave what is left.
    values, counts = np.append(values[::-1], 0.0), np.append(counts[::-1], rows - counts.sum())
    generator = np.random.default_rng(seed)
    step = max(1, _DRAWN_AT_ONCE // len(values))
    for start in range(0, resamples, step):
        drawn = generator.multinomial(rows, counts / rows, size=min(step, resamples - start))
        yield drawn @ values
