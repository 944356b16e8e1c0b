"""What people are told of a column: how its numbers are spread, and which of its texts are the commonest.

All of it follows from what kinds learn of the training part anyway: the distinct values of a column and how often each
comes. So there is no pass over the rows for it, and neither pieces nor their order make a difference.

A histogram is drawn between Tukey's outer fences, three times the distance of the quartiles beyond them (Exploratory
Data Analysis, 1977, section 2D): one value in a million would leave all others in one bin. What lies beyond is counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data import number_statistics as figures
from pipeline.records.columns import Commonest, CountedText, Distribution, Histogram

Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

MOST_BINS = 30
_MOST_CATEGORIES, _MOST_TERMS = 20, 30
_LONGEST = 200  # characters of a text that are told
_LARGEST = 1e100
_FENCE = 3.0  # times the distance of the quartiles
_STEPS = (1, 2, 5)  # times a power of ten, so that people can read the edges


def of_numbers(values: Values, counts: Counts, missing: int, unit: str) -> dict[str, Any]:
    """Return the summary of numbers: `values` rise, `counts` are the rows of each."""
    rows = int(counts.sum()) + missing
    return {"rows": rows, "missing": missing, "distribution": spread_of(values, counts, "value", unit)}


def of_categories(texts: Sequence[str], counts: Counts, missing: int) -> dict[str, Any]:
    """Return the summary of categories: `counts` are the rows of each text."""
    rows = int(counts.sum())
    order = np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]  # texts rise: of equally frequent ones the first
    top = [(texts[place], int(counts[place])) for place in order.tolist()]
    others = rows - sum(number for _, number in top)
    commonest = Commonest(of="categories", distinct=len(counts), top=_counted(top), others=others)
    return {"rows": rows + missing, "missing": missing, "commonest": commonest}


def of_texts(
    lengths: Mapping[int, int], vocabulary: Sequence[str], frequencies: Sequence[int], term: str = "term"
) -> dict[str, Any]:
    """Return the summary of texts: how many have each length, in terms, and in how many each term occurs.

    `term` is what a term is called.
    """
    values = np.array(sorted(lengths), np.float64)
    counts = np.array([lengths[length] for length in sorted(lengths)], np.int64)
    top = zip(vocabulary[:_MOST_TERMS], frequencies, strict=False)
    return {
        "rows": int(counts.sum()),
        "missing": lengths.get(0, 0),
        "missing_word": f"without a {term}",
        "distribution": spread_of(values, counts, f"{term}s of a text") if len(values) else None,
        "commonest": Commonest(of=f"{term}s in the vocabulary", distinct=len(vocabulary), top=_counted(top)),
    }


def spread_of(values: Values, counts: Counts, of: str, unit: str = "") -> Distribution | None:
    """Return how numbers are spread. `values` rise, `counts` are the rows of each.

    None if there are no values, or such that their sum is beyond float64: nothing can be trained with these.
    """
    if not len(values) or max(-values[0], values[-1]) > _LARGEST:
        return None
    lower, median, upper = (figures.quantile(values, counts, share) for share in (0.25, 0.5, 0.75))
    return Distribution(
        of=of,
        unit=unit,
        minimum=float(values[0]),
        lower_quartile=lower,
        median=median,
        upper_quartile=upper,
        maximum=float(values[-1]),
        mean=figures.mean(values, counts),
        histogram=histogram_of(values, counts, lower, upper),
    )


def histogram_of(values: Values, counts: Counts, lower: float, upper: float) -> Histogram | None:
    """Return rows by at most about `MOST_BINS` bins; None if all values are the same.

    Where most rows have one value, the quartiles are the same: then the limits are the first and the last percent.
    """
    low, high = _limits(values, counts, lower, upper)
    if low == high:
        low, high = float(values[0]), float(values[-1])
    edges = _edges(values, low, high)
    if len(edges) < 2:
        return None
    before = np.concatenate([[0], np.cumsum(counts)])[np.searchsorted(values, edges)]  # rows below each edge
    return Histogram(
        edges=tuple(edges),
        rows=tuple(np.diff(before).tolist()),
        below=int(before[0]),
        above=int(counts.sum() - before[-1]),
    )


def _limits(values: Values, counts: Counts, lower: float, upper: float) -> tuple[float, float]:
    if lower == upper:
        return figures.quantile(values, counts, 0.01), figures.quantile(values, counts, 0.99)
    reach = _FENCE * (upper - lower)
    return max(float(values[0]), lower - reach), min(float(values[-1]), upper + reach)


def _edges(values: Values, low: float, high: float) -> list[float]:
    """Return edges that people can read, from `low` or less to beyond `high`; whole numbers stand within their bin."""
    least = high / MOST_BINS - low / MOST_BINS  # the difference itself may be beyond float64
    if not least > 0:
        return []
    is_whole = bool((values == np.floor(values)).all())
    if is_whole and least < 1:
        return [number - 0.5 for number in range(math.floor(low), math.floor(high) + 2)]
    steps, power = _step(max(least, 1.0) if is_whole else least)
    one = _times(steps, power)
    first, last = math.floor(low / one), math.floor(high / one)
    edges = [_times(steps * number, power) for number in range(first, last + 2)]
    return edges if all(np.isfinite(edges)) and len(set(edges)) == len(edges) else []


def _step(least: float) -> tuple[int, int]:
    """Return the next width that people can read: so many times that power of ten."""
    power = math.floor(math.log10(least))
    found = next((steps for steps in _STEPS if _times(steps, power) >= least), None)
    return (found, power) if found else (1, power + 1)


def _times(number: int, power: int) -> float:
    """Return a whole number times a power of ten, correctly rounded; infinity beyond float64."""
    try:
        return float(number * 10**power) if power >= 0 else number / 10**-power
    except OverflowError:
        return math.copysign(math.inf, number)


def _counted(texts: Iterable[tuple[str, int]]) -> tuple[CountedText, ...]:
    return tuple(
        CountedText(text=text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…", rows=rows)
        for text, rows in texts
    )
