"""How many requests are answered at once: no more than are thought to be answered in time, by the measured rate.

The queue of the model is bounded by `batching`; this bounds what stands before it, in the event loop itself, which is
the narrow place where a call of the model is short. As many requests as one call may have rows are always let in, but
for an overload, in which two are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.serving.limits import Limits
from pipeline.serving.overload import Overload
from pipeline.serving.refusals import OVERLOADED, Refusal

_REMEMBERED = 256  # requests by which the rate is measured: what came before them fades
_LONGEST_RETRY_S = 60
_FEW = 2  # one that is asked, and one that waits


class Admission:
    """Counts requests that are being answered, and measures how many are in a second."""

    def __init__(
        self, limits: Limits, overload: Overload, shed: Callable[[int], None], clock: Callable[[], float]
    ) -> None:
        self._limits, self._overload, self._shed, self._clock = limits, overload, shed, clock
        self.in_flight = 0
        self._done, self._busy_s, self._since_s = 0.0, 0.0, 0.0

    @property
    def requests_per_s(self) -> float:
        """How many requests are answered in a second while there are any; infinite at first."""
        return self._done / self._busy_s if self._done and self._busy_s else math.inf

    @property
    def is_full(self) -> bool:
        """Whether a request that came now would wait too long."""
        wait_s = self.in_flight / self.requests_per_s
        if self.in_flight >= self._limits.batch_rows and wait_s > self._limits.queue_s:
            return True
        return self._overload.is_on and self.in_flight >= _FEW and wait_s > self._overload.patience_s

    def retry_s(self) -> int | None:
        """Return after how many seconds a request that came now shall come again, None if it would be let in.

        What is returned is noted as a request that was refused.
        """
        if not self.is_full:
            return None
        self._overload.note_refusal()
        self._shed(1)
        return min(_LONGEST_RETRY_S, max(1, math.ceil(self.in_flight / self.requests_per_s)))

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for one request; raise Refusal if it would wait too long."""
        if (retry_s := self.retry_s()) is not None:
            raise overloaded(retry_s)
        self._pass_time()
        self.in_flight += 1
        try:
            yield
        finally:
            self._pass_time()
            self.in_flight -= 1
            self._done += 1
            if self._done > _REMEMBERED:
                self._done, self._busy_s = self._done / 2, self._busy_s / 2

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Do not count a request that holds a place for a while: what it waits for does not hold up others."""
        self._pass_time()
        self.in_flight -= 1
        try:
            yield
        finally:
            self._pass_time()
            self.in_flight += 1

    def _pass_time(self) -> None:
        now_s = self._clock()
        if self.in_flight:
            self._busy_s += now_s - self._since_s
        self._since_s = now_s


def overloaded(retry_s: int) -> Refusal:
    """Return what a request is told that would wait too long."""
    message = f"as many requests are being answered as can be in time; try again in {retry_s} s"
    return Refusal(OVERLOADED, message, {"retry-after": str(retry_s)})
