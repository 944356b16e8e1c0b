"""Two machines that write one registry: each call of each takes its turn, as a schedule says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pipeline.errors import TryAgain

WAIT_S = 30.0


class Turns:
    """Lets one of several threads go on at a time, from one call to its next."""

    def __init__(self, schedule: Iterator[int], actors: int) -> None:
        self._schedule = schedule
        self._going = set(range(actors))
        self._waiting: set[int] = set()
        self._turn: int | None = None
        self._changed = threading.Condition()

    def take(self, actor: int) -> None:
        """Wait for the actor's turn; it is given when all who take part are waiting."""
        with self._changed:
            self._waiting.add(actor)
            self._give()
            assert self._changed.wait_for(lambda: self._turn == actor, WAIT_S)
            self._turn = None
            self._waiting.discard(actor)

    def leave(self, actor: int) -> None:
        """Take part no longer."""
        with self._changed:
            self._going.discard(actor)
            self._give()

    def _give(self) -> None:
        if self._turn is None and self._going and self._waiting == self._going:
            order = sorted(self._going)
            self._turn = order[next(self._schedule, 0) % len(order)]
            self._changed.notify_all()


class InTurn:
    """A client or a reader whose every call takes its actor's turn first."""

    def __init__(self, inner: Any, turns: Turns, actor: int) -> None:
        self._inner, self._turns, self._actor = inner, turns, actor

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self._turns.take(self._actor)
            return found(*arguments, **named)

        return call


def run_interleaved(acts: Sequence[Callable[[Turns, int], object]], schedule: Sequence[int]) -> list[str]:
    """Run all in the order of the schedule; return for each `done`, or what it was told."""
    turns, told = Turns(iter(schedule), len(acts)), [""] * len(acts)

    def run(actor: int) -> None:
        try:
            acts[actor](turns, actor)
            told[actor] = "done"
        except TryAgain as error:
            told[actor] = str(error)
        finally:
            turns.leave(actor)

    threads = [threading.Thread(target=run, args=(actor,)) for actor in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    return told
