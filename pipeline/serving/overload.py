"""Whether more is asked than can be answered, and how long a request may then wait.

Many clients at once are no overload: they wait for one another, and share calls of the model. There is one from the
first request that is refused until none has been for `CALM_S`. Then what is let in shall be answered nearly as soon as
if it were alone, or those that are served are served late, too: the bound on waiting, `Limits.queue_s`, falls to a
share of it, or to a few times what a lone request takes where that is longer. Two bounds on a queue's delay, a loose
one as long as it empties and a tight one when it does not, are those of B. Maurer, "Fail at Scale", ACM Queue 13(8),
2015, which takes the idea from CoDel (RFC 8289).

Under the tight bound fewer are answered, so it could keep up what it was made for, after that has passed or where
clients ask again at once. So after `LONGEST_S` the loose one is tried.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable

from pipeline.serving.limits import Limits
from pipeline.serving.model import LoadedModel

CALM_S = 1.0  # the shortest Retry-After: who is refused does not come again before
LONGEST_S = 30.0
SHARE = 1 / 12  # of what may be waited otherwise; what that gives stands in docs/decisions/0051-the-service.md
_REQUESTS = 3  # that one may wait for: one under way, its own, and one between
_DOUBLES_S = 600.0  # in which the shortest is doubled, so that a small picture among large ones is forgotten


class Overload:
    """Knows when a request was last refused, and about how long a lone one takes."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits, self._clock = limits, clock
        self._since_s = self._until_s = -math.inf
        self._model: weakref.ref[LoadedModel] | None = None
        self._shortest_s, self._shortest_at_s = math.inf, 0.0

    @property
    def is_on(self) -> bool:
        """Whether a request was refused within `CALM_S`, and the first of them within `LONGEST_S`."""
        return self._clock() < self._until_s

    @property
    def patience_s(self) -> float:
        """How long a request may wait for its answer in an overload, in seconds.

        The shortest request counts, not the last: those that wait for one another take longer.
        """
        lone_s = 0.0 if self._shortest_s == math.inf else self._lone_s(self._clock())
        return max(SHARE * self._limits.queue_s, _REQUESTS * lone_s)

    def note_refusal(self) -> None:
        """Note that a request was refused because of what waits already."""
        now_s = self._clock()
        if now_s >= self._until_s:
            self._since_s = now_s
        self._until_s = min(now_s + CALM_S, self._since_s + LONGEST_S)

    def note_request(self, model: LoadedModel, seconds: float) -> None:
        """Note how long a request took, and which model answered."""
        now_s = self._clock()
        if self._model is None or self._model() is not model:
            self._model, self._shortest_s = weakref.ref(model), math.inf
        if seconds <= self._lone_s(now_s):
            self._shortest_s, self._shortest_at_s = seconds, now_s

    def _lone_s(self, now_s: float) -> float:
        return self._shortest_s * 2 ** ((now_s - self._shortest_at_s) / _DOUBLES_S)
