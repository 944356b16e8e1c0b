"""The tables behind `dvc plots show`: one CSV per plot, with the columns that dvc.yaml names as its axes.

Of many rows at most 2 000 are in a table, spread evenly over the truth: a table is looked at, not counted.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.regression.metrics import Answers, Labels, Numbers, errors
from pipeline.evaluation.tables import csv_table

MOST_POINTS = 2000
_MOST_BINS = 40


def tables(labels: Labels, answers: Answers) -> dict[str, bytes]:
    """Return every table by its file name."""
    off, given = errors(labels, answers), answers.reshape(len(labels)).astype(np.float64)
    rows = chosen(labels)
    edges, counts = histogram(off)
    truth, predicted, error = labels[rows].tolist(), given[rows].tolist(), off[rows].tolist()
    return {
        "predicted.csv": csv_table(("truth", "predicted"), zip(truth, predicted, strict=True)),
        "residuals.csv": csv_table(("predicted", "error"), zip(predicted, error, strict=True)),
        "errors.csv": csv_table(
            ("from", "to", "rows"), zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
        ),
    }


def chosen(labels: Labels) -> npt.NDArray[np.int64]:
    """Return the rows that are shown, `[point]`: all, or of each of 2 000 runs of like truths the middle one."""
    order = np.argsort(labels, kind="stable")
    if len(order) <= MOST_POINTS:
        return np.sort(order)
    places = (2 * np.arange(MOST_POINTS) + 1) * len(order) // (2 * MOST_POINTS)
    return np.sort(order[places])


def histogram(off: Numbers) -> tuple[Numbers, npt.NDArray[np.int64]]:
    """Return the edges `[bin + 1]` and the rows `[bin]` of the errors; the outer bins hold what lies beyond.

    Between the 0.5th and the 99.5th percentile bins are as wide as Freedman & Diaconis say (Zeitschrift für
    Wahrscheinlichkeitstheorie 57, 1981), 40 at most.
    """
    low, first, third, high = np.quantile(off, [0.005, 0.25, 0.75, 0.995]).tolist()
    if not high > low:
        low, high = low - 0.5, high + 0.5
    width = 2 * (third - first) / len(off) ** (1 / 3)
    bins = min(max(int(np.ceil((high - low) / width)) if width > 0 else 1, 5), _MOST_BINS)
    edges = np.linspace(low, high, bins + 1)
    counts, _ = np.histogram(np.clip(off, low, high), edges)
    return edges, counts.astype(np.int64)
