"""How bounds are widened from what was found: the rules of drafts in figures.

- A number of rows may halve or double.
- Of a share of rows that is as it should be, the rest may double, and one row in a hundred more may be wrong.
- The classes' shares may move as far as if the largest class came at half its share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pipeline.drafting.expectations import Expected

ONE_IN_A_HUNDRED = 0.01
_LEAST_DIVERGENCE = 0.01
_NOISE = 5  # times the divergence that chance alone gives: (classes - 1) / (2 rows)
_NOTHING = 1e-9
_PLACES = 3  # digits that a bound keeps, rounded outwards


def divergence(shares: Sequence[float], rows: int, unknown: float = 0.0, holdout: float = 0.0) -> Expected:
    """Return the bound on how far the classes' shares may move: Kullback–Leibler divergence from those found.

    `unknown` is the share of labels that are none of the classes, for which the share `holdout` is expected.
    """
    weights = [max(round(share, 6), 1e-6) for share in shares]
    largest = weights.index(max(weights))
    weights[largest] = round(1 - sum(weights[:largest] + weights[largest + 1 :]), 6)
    halved = [
        share / 2 if place == largest else share * (1 + weights[largest] / 2 / (1 - weights[largest]))
        for place, share in enumerate(weights)
    ]
    moved = sum(
        there * math.log(there / share) for there, share in zip(halved, weights, strict=True) if there and share
    )
    chance = _NOISE * (len(shares) - 1) / (2 * max(1, rows))
    threshold = up(max(moved, _LEAST_DIVERGENCE, chance) + _of_unknown(unknown, holdout))
    held = {"tail_weight_holdout": holdout} if holdout else {}
    partition = {"values": list(range(len(shares))), "weights": weights}
    return Expected(
        "column_kl_divergence_to_be_less_than",
        {"column": "label", "partition_object": partition, "threshold": threshold, **held},
        f"the shares found; the largest class at half its share gives {moved:.2g}",
    )


def _of_unknown(share: float, holdout: float) -> float:
    """Return the divergence that labels of no class may add: twice their share, and one in a hundred more.

    What is held out for them is taken from all classes: without such a label that alone gives −log(1 − holdout).
    """
    none = -math.log(1 - holdout)
    if not share or not holdout:
        return none
    most = min(2 * share + holdout, 1 - holdout)
    return max(none, (1 - most) * math.log((1 - most) / (1 - holdout)) + most * math.log(most / holdout))


def row_count(rows: int, notes: str = "") -> Expected:
    """Return the bound on a number of rows: half and twice of it."""
    bounds = {"min_value": max(1, rows // 2), "max_value": 2 * rows}
    return Expected("table_row_count_to_be_between", bounds, notes or f"{spaced(rows)} found")


def of_sizes(low: int, high: int) -> tuple[int, int]:
    """Return the bounds of sizes: what is always the same stays so, others may halve or double."""
    return (low, high) if low == high else (max(1, low // 2), 2 * high)


def mostly(wrong: int, rows: int) -> dict[str, float]:
    """Return the share of rows that must be as they should be, where so many are not."""
    share = down(1 - 2 * wrong / max(1, rows) - ONE_IN_A_HUNDRED)
    return {"mostly": max(share, 0.001)}


def out_of(rows: int, of: int, what: str) -> str:
    """Return in words how many rows of all are so."""
    return f"{spaced(rows)} of {spaced(of)} rows {what}"


def spaced(count: int) -> str:
    """Return a number with a space before each three digits."""
    return f"{count:_}".replace("_", " ")


def down(value: float) -> float:
    """Return a value rounded down to three digits."""
    return _rounded(value, math.floor)


def up(value: float) -> float:
    """Return a value rounded up to three digits."""
    return _rounded(value, math.ceil)


def _rounded(value: float, towards: Any) -> float:
    """Return a value rounded outwards to three digits."""
    if abs(value) < _NOTHING:
        return 0.0
    scale = 10.0 ** (_PLACES - 1 - math.floor(math.log10(abs(value))))
    return float(f"{towards(round(value * scale, 6)) / scale:.{_PLACES + 3}g}")
