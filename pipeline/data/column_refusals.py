"""Why values of a column cannot be used: a reason and a detail a row, for columns of which nearly all rows are fine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_SHOWN = 200  # characters of a value that cannot be used


@dataclass(frozen=True)
class Refusals:
    """What is said of each row, `[row]`: None of one that is fine. What is said first of a row stays."""

    reasons: npt.NDArray[np.object_]
    details: npt.NDArray[np.object_]

    @classmethod
    def none(cls, rows: int) -> Refusals:
        """Return that of so many rows that are all fine."""
        return cls(*np.full((2, rows), None, np.object_))

    def add(
        self,
        which: npt.NDArray[np.bool_],
        reason: str,
        column: pa.ChunkedArray | pa.Array,
        detail: Callable[[str], str] = str,
    ) -> None:
        """Give rows a reason. Their detail is what `detail` makes of the value of the column, quoted."""
        rows = np.array([row for row in np.flatnonzero(which) if self.reasons[row] is None], np.intp)
        self.reasons[rows] = reason
        self.details[rows] = [detail(quoted(value)) for value in column.take(pa.array(rows)).to_pylist()]


def quoted(value: object) -> str:
    """Return a value as it is written in an error, in at most 200 characters: a text in quotes, on one line."""
    return repr(value[:_SHOWN] if isinstance(value, str) else value)[:_SHOWN]
