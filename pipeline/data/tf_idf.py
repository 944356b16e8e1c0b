"""TF-IDF: how often a term occurs in a document, weighted by how few documents it occurs in, of length 1 together.

Source: scikit-learn's TfidfTransformer with its defaults (norm "l2", smooth_idf, sublinear_tf off), user guide, section
"Tf–idf term weighting": idf(t) = ln((1 + n) / (1 + df(t))) + 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt


def inverse_frequencies(documents: int, frequencies: Sequence[int]) -> list[float]:
    """Return the weight of each term, from how many documents there are and in how many of them each occurs."""
    return [math.log((1 + documents) / (1 + frequency)) + 1.0 for frequency in frequencies]


def weighted(rows: Sequence[Sequence[int]], weights: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float32]:
    """Return `[row, width] float32` of length 1 from the terms of each row, numbers from 0 with a weight `[term]` each.

    A row without a term is all 0. A row's values depend on it alone: they are added in the order of the terms.
    """
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    flat = np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum()))
    places, counts = np.unique(np.repeat(np.arange(len(rows)), lengths) * width + flat, return_counts=True)
    row, term = np.divmod(places, width)
    values = counts * weights[term]
    norms = np.sqrt(np.bincount(row, values * values, minlength=len(rows)))
    made = np.zeros((len(rows), width), np.float32)
    made[row, term] = values / norms[row]
    return made
