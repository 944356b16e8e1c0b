"""Which training rows the ranges of whole numbers are learned from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

CALIBRATION_ROWS = 1024


def spread(count: int, most: int) -> npt.NDArray[np.int64]:
    """Return the places of at most `most` of `count` rows, from the first to the last: sources sort by class."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
