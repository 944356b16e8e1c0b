"""Whether more is asked than can be answered, and how long a request may then wait.

Many clients at once are no overload: they wait for one another, and share calls of the model. There is one from the
first request that is refused until none has been for `CALM_S`. Then what is let in shall be answered nearly as soon as
if it were alone, or those that are served are served late, too: the bound on waiting, `Limits.queue_s`, falls to a
share of it, or to a few calls of the model where these take longer. Two bounds on a queue's delay, a loose one as long
as it empties and a tight one when it does not, are those of B. Maurer, "Fail at Scale", ACM Queue 13(8), 2015, which
takes the idea from CoDel (RFC 8289).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from pipeline.serving.limits import Limits

CALM_S = 1.0  # the shortest Retry-After: who is refused does not come again before
SHARE = 1 / 6  # of what may be waited otherwise; measured: accepted requests' p99 is then some four times a lone one's
_CALLS = 3  # that a request may wait for: one under way, its own, and one between


class Overload:
    """Knows when a request was last refused, and the shortest call of the model so far; 0 where there was none."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits, self._clock = limits, clock
        self._until_s = -math.inf
        self._shortest_call_s = 0.0

    @property
    def is_on(self) -> bool:
        """Whether a request was refused within `CALM_S`."""
        return self._clock() < self._until_s

    @property
    def patience_s(self) -> float:
        """How long a request may wait for its answer in an overload, in seconds.

        The shortest call counts, not the last: those that are shared by many grow with what waits.
        """
        return max(SHARE * self._limits.queue_s, _CALLS * self._shortest_call_s)

    def note_refusal(self) -> None:
        """Note that a request was refused because of what waits already."""
        self._until_s = self._clock() + CALM_S

    def note_call(self, seconds: float) -> None:
        """Note how long a call of the model took."""
        self._shortest_call_s = min(self._shortest_call_s or seconds, seconds)

    def note_model(self) -> None:
        """Note that another model is asked from now on."""
        self._shortest_call_s = 0.0
