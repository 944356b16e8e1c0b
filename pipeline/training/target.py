"""The scale of a target that is a number: its mean and deviation on the training part.

A network's first answers are around 0 and its steps are about as large as its learning rate, whatever the unit of the
target. So the target is trained in deviations from its mean, and the model's last layer gives answers in the unit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.records.architecture import TargetScale
from pipeline.storage.shards import read_labels

_AT_ONCE = 65_536
_LARGEST = 1e30  # far below what float32 holds, the type of answers
_FLAT = 1e-9  # a smaller deviation, relative to the mean, is rounding


def fit_target(training: Path) -> TargetScale:
    """Return the scale of a training part's labels. Sums are exact, so no order of rows can change a bit.

    A target that never varies has the deviation 1. Raises DataError without rows, or for numbers beyond 1e30.
    """
    _, labels = read_labels(training)
    if not len(labels):
        raise DataError(f"{training}: no rows, so nothing is known of the target; raise split.train")
    if not np.abs(labels).max() <= _LARGEST:  # nor is a NaN
        raise DataError(f"{training}: the target reaches {np.abs(labels).max():g}; numbers are at most {_LARGEST:g}")
    mean = math.fsum(numbers_in(labels)) / len(labels)
    deviation = math.sqrt(math.fsum(numbers_in((labels - mean) ** 2)) / len(labels))
    return TargetScale(mean=mean, deviation=deviation if deviation > _FLAT * abs(mean) else 1.0)


def scaled(labels: npt.NDArray[Any], target: TargetScale) -> npt.NDArray[np.float32]:
    """Return labels `[row] float64` in deviations from the mean, `[row] float32`."""
    return ((labels - target.mean) / target.deviation).astype(np.float32)


def numbers_in(values: npt.NDArray[Any]) -> Iterator[float]:
    """Yield an array's numbers as Python's own, some at a time."""
    return chain.from_iterable(values[start : start + _AT_ONCE].tolist() for start in range(0, len(values), _AT_ONCE))
