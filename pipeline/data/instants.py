"""Parts that follow each other in time: training before validation before test, and the proof of it.

Two instants part the rows. Rows of one instant stay together, so the instants are those at which the parts come nearest
to their shares; neither the order of rows nor how they are cut makes a difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.data.shares import largest_remainder
from pipeline.errors import Bug, DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Times = npt.NDArray[np.int64]  # microseconds since 1970, UTC

_PARTS = 3
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class Instants(NamedTuple):
    """From when on rows are validation rows, and from when on test rows, in microseconds since 1970, UTC."""

    validation_from: int
    test_from: int

    def codes(self, times: Times) -> npt.NDArray[np.int8]:
        """Return the part of each row, `[row]`: 0 is training, 1 validation, 2 test."""
        codes: npt.NDArray[np.int8] = (times >= self.validation_from).astype("int8")
        codes += times >= self.test_from
        return codes

    def shown(self) -> dict[str, str]:
        """Return both as text."""
        return {name: text_of(time) for name, time in self._asdict().items()}


def instants_of(times: Times, shares: Sequence[float]) -> Instants:
    """Return the instants at which rows at `times [row]` are nearest to the shares of training, validation and test.

    The test part is cut first; of two instants as near, the earlier. Raises DataError for fewer than three times.
    """
    import numpy as np

    distinct, counts = np.unique(times, return_counts=True)
    if len(distinct) < _PARTS:
        raise DataError(
            f"split: the {len(times)} rows have {len(distinct)} different times, and three parts that follow each "
            "other need three; set split.method to another, or take rows of more times"
        )
    before = np.cumsum(counts) - counts  # rows before each time
    training, validation, _ = largest_remainder(len(times), shares)
    test = 2 + int(np.abs(before[2:] - (training + validation)).argmin())
    first = 1 + int(np.abs(before[1:test] - training).argmin())
    return Instants(int(distinct[first]), int(distinct[test]))


def times_of(column: pa.ChunkedArray) -> Times:
    """Return a column of timestamps as microseconds, `[row]`; none may be missing."""
    import pyarrow as pa

    if column.null_count:
        raise DataError("data/clean: rows without a time are kept; run stage clean again")
    times: Times = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    return times


def text_of(time: int) -> str:
    """Return an instant as text: 2013-10-31T21:04:00.000000Z."""
    return f"{(_EPOCH + time * _MICROSECOND).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def parsed(text: str) -> int:
    """Return the instant that a text says; raise ValueError if it says none."""
    return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND


def prove_in_order(parts: Sequence[str], codes: npt.NDArray[np.int8], times: Times) -> Mapping[str, Any]:
    """Return the first and the last time of each part; raise Bug unless each part ends before the next begins.

    `codes` and `times` are `[row]`; each of `parts` has rows.
    """
    spans = [(int(times[codes == code].min()), int(times[codes == code].max())) for code in range(len(parts))]
    for (earlier, (_, last)), (later, (first, _)) in pairwise(zip(parts, spans, strict=True)):
        if last >= first:
            raise Bug(
                f"split: the {earlier} part ends at {text_of(last)}, and the {later} part begins at {text_of(first)}; "
                "please report it"
            )
    return {
        part: {"first": text_of(first), "last": text_of(last)} for part, (first, last) in zip(parts, spans, strict=True)
    }
