"""Where predicted numbers are furthest from the truth, and how the errors hang on the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.evaluation.regression.metrics import Answers, Labels, Numbers, errors
from pipeline.recipe.task import Mistake, Mistakes, Table
from pipeline.runtime.progress import count as in_words

_BANDS = 5


def find(ids: Sequence[str], labels: Labels, answers: Answers, unit: str, count: int) -> Mistakes:
    """Return how large errors are, the `count` rows with the largest, and the errors by how large the truth is."""
    off = errors(labels, answers)
    size = np.abs(off)
    half, most = np.quantile(size, [0.5, 0.95]).tolist()
    high = int(np.count_nonzero(off > 0))
    worst = largest(ids, labels, answers, unit, count)
    return Mistakes(
        sentence=f"Half of {in_words(len(labels))} validation rows are within {shown(half, unit)} of the truth, 95 % "
        f"within {shown(most, unit)}; {in_words(high)} are predicted too high, on average by "
        f"{shown(float(off[off > 0].mean()) if high else 0.0, unit)}.",
        worst=tuple(worst),
        words=f"The {len(worst)} validation rows with the largest errors: the truth, the prediction, how far that is "
        "above the truth, and the beginning of the id.",
        table=by_truth(labels, off, unit),
    )


def largest(ids: Sequence[str], labels: Labels, answers: Answers, unit: str, count: int) -> list[Mistake]:
    """Return the rows that are wrong by most, the worst first; ties by id."""
    off = errors(labels, answers)
    size = np.abs(off)
    wrong = np.flatnonzero(size > 0)
    if count < len(wrong):  # only those that can be among them are put in order
        least = np.partition(size, -count)[-count] if count else np.inf
        wrong = np.flatnonzero(size >= least)
    order = sorted(wrong.tolist(), key=lambda row: (-float(size[row]), ids[row]))
    given = answers.reshape(len(labels))
    return [
        Mistake(
            row,
            shown(float(labels[row]), unit),
            shown(float(given[row]), unit),
            signed(float(off[row]), unit),
        )
        for row in order[:count]
    ]


def by_truth(labels: Labels, off: Numbers, unit: str) -> Table | None:
    """Return the errors of as many rows each, by how large the truth is; None if it is always the same."""
    edges = np.unique(np.quantile(labels, np.linspace(0, 1, _BANDS + 1)[1:-1]))
    band_of = np.searchsorted(edges, labels, side="left")
    rows = []
    for band in range(len(edges) + 1):
        of_band = band_of == band
        if of_band.any():
            truth, error = labels[of_band], off[of_band]
            rows.append(
                (
                    f"{shown(float(truth.min()))} to {shown(float(truth.max()))}",
                    int(of_band.sum()),
                    shown(float(np.abs(error).mean())),
                    signed(float(error.mean())),
                )
            )
    if len(rows) < 2:
        return None
    in_unit = f", {unit}" if unit else ""
    columns = (f"truth{in_unit}", "rows", f"mean absolute error{in_unit}", f"mean error{in_unit}")
    return Table("Errors by how large the truth is", columns, tuple(rows), text_columns=1)


def shown(value: float, unit: str = "") -> str:
    """Return a number with its unit, in at most five digits."""
    return f"{value:.5g} {unit}".strip().replace("-", "−", 1)


def signed(value: float, unit: str = "") -> str:
    """Return a difference with its sign and unit."""
    return f"{value:+.5g} {unit}".strip().replace("-", "−", 1)
