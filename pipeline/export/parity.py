"""How far one form of a model answers differently from another: in numbers, and in the class that a row gets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Answers = npt.NDArray[np.float32]
_EVEN = 0.5


class Parity(NamedTuple):
    """The `largest_difference` of any number, by its size where that is above 1; the share of rows in `agreement`.

    Numbers have no classes, and so no agreement. What one gives and the other does not is an infinite difference.
    """

    largest_difference: float
    agreement: float | None


def compare(found: Answers, expected: Answers, *, has_classes: bool, threshold: float | None = None) -> Parity:
    """Compare answers `[row, …]` with those expected."""
    if found.shape != expected.shape:
        return Parity(np.inf, 0.0 if has_classes else None)
    own, other = found.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        gaps = np.abs(own - other) / np.maximum(1.0, np.abs(other))
    has_neither = np.isnan(own) & np.isnan(other)  # a row without an answer has none in both
    gaps = np.where(has_neither, 0.0, np.where(np.isnan(gaps), np.inf, gaps))
    largest = float(gaps.max(initial=0.0))
    if not has_classes:
        return Parity(largest, None)
    same = classes_of(found, threshold) == classes_of(expected, threshold)
    return Parity(largest, float(same.mean()) if len(same) else 1.0)


def classes_of(answers: Answers, threshold: float | None = None) -> npt.NDArray[np.intp]:
    """Return the class of each row, `[row]`: the likeliest, of two the second from `threshold` on; −1: none."""
    is_nan = np.isnan(answers)
    has_answer = ~is_nan.any(axis=1)
    if threshold is None or threshold == _EVEN:  # as the model was judged: see evaluation/classification/metrics.py
        likeliest = np.argmax(np.where(is_nan, 0, answers), axis=1)
    else:
        likeliest = (answers[:, 1] >= threshold).astype(np.intp)
    return np.where(has_answer, likeliest, -1)
