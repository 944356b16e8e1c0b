"""Micro-batching: rows that wait at the same time share one call of the model, bounded in rows and in waiting time.

A row does not wait where there is nothing to wait for: a call that is free takes what is there at once, unless the
last one was shared; then it waits for as many rows as that one had, at most `wait_s` after the first of them came. Rows
share a call only if model, features and shapes are the same, so that two champions' rows are never mixed.

The queue is bounded in rows and in the time that they would wait by the measured rate. Rows are dropped, never asked,
when their deadline has passed or whoever sent them has gone; in an overload (see `overload`) they are refused when they
have waited too long after all.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.serving.limits import Limits
from pipeline.serving.model import LoadedModel
from pipeline.serving.overload import Overload
from pipeline.serving.refusals import OVERLOADED, TOO_LATE, Gone, Refusal
from pipeline.storage.shards import Columns

Answers = npt.NDArray[np.float32]
Receive = Callable[[], Awaitable[Any]]
_REMEMBERED_ROWS = 256  # by which the rate is measured: what came before them fades
_LONGEST_RETRY_S = 60
_UNWATCHED_S = 0.02  # a client that waits no longer is not watched: that takes as long as to read a small request


class Observer(Protocol):
    """Whoever wants to know how the queue stands and what the calls take."""

    def batch(self, rows: int, requests: int, waited_s: Sequence[float], call_s: float) -> None:
        """Note one call: its rows, how many entries shared it, how long each waited, how long it took."""

    def shed(self, rows: int) -> None:
        """Note rows that were refused, because too many waited."""

    def dropped(self, rows: int, why: str) -> None:
        """Note rows that were not asked: of clients that have `gone`, or past their `deadline`."""


class _Entry:
    __slots__ = ("arrived_s", "columns", "future", "is_abandoned", "key", "model", "rows", "siblings")

    def __init__(self, model: LoadedModel, columns: Columns, rows: int, now_s: float, future: asyncio.Future[Any]):
        self.model, self.columns, self.rows, self.arrived_s, self.future = model, columns, rows, now_s, future
        self.key = (id(model), *((name, values.shape[1:]) for name, values in columns.items()))
        self.is_abandoned = False
        self.siblings: Sequence[_Entry] = ()  # all of the request, of the first of them


class Batcher:
    """Asks models in threads of its own, `calls` at once. All its methods belong to one event loop."""

    def __init__(self, limits: Limits, observer: Observer, *, calls: int = 1, is_batching: bool = True) -> None:
        self._limits, self._observer, self._calls = limits, observer, calls
        self.overload = Overload(limits, time.perf_counter)
        self._most_rows = limits.batch_rows
        self._is_batching = is_batching
        self._threads = ThreadPoolExecutor(calls, thread_name_prefix="model")
        self._queue: dict[int, _Entry] = {}  # in the order of arrival
        self._queued_rows = 0
        self._alone: deque[_Entry] = deque()  # of calls that failed: which of them is at fault is to be seen
        self._running = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._last_shared_rows = 1
        self._timer: asyncio.TimerHandle | None = None
        self._is_free = asyncio.Event()
        self._is_free.set()
        self._rows, self._busy_s = 0.0, 0.0

    @property
    def queued_rows(self) -> int:
        """How many rows wait for a call."""
        return self._queued_rows

    @property
    def is_free(self) -> bool:
        """Whether a row that came now would be asked at once."""
        return self._is_free.is_set()

    async def until_free(self) -> None:
        """Wait until nothing waits and a call could begin; it may be gone again when this returns."""
        await self._is_free.wait()

    @property
    def rows_per_s(self) -> float:
        """How many rows are answered in a second while all calls are busy, as measured; infinite at first."""
        return self._calls * self._rows / self._busy_s if self._busy_s else math.inf

    async def ask(self, model: LoadedModel, columns: Columns, deadline_s: float, receive: Receive) -> Answers:
        """Return a model's answers to columns, `[row, number]`, all of that model.

        `deadline_s` is by the event loop's clock; `receive` is the request's, read to its end. Raises Refusal if there
        are too many rows waiting or the deadline passes, Gone if the client hangs up; what the model raises comes
        through.
        """
        rows = len(next(iter(columns.values())))
        self._admit(rows)
        loop = asyncio.get_running_loop()
        now_s, entries = loop.time(), []
        for start in range(0, rows, self._most_rows):
            piece = columns if rows <= self._most_rows else _slice(columns, start, start + self._most_rows)
            entry = _Entry(model, piece, min(self._most_rows, rows - start), now_s, loop.create_future())
            self._queue[id(entry)] = entry
            self._queued_rows += entry.rows
            entries.append(entry)
        entries[0].siblings = entries
        self._pump()
        waits = any(id(entry) in self._queue for entry in entries)
        watch = _Watch(entries, receive) if waits else None
        try:
            async with asyncio.timeout_at(deadline_s):
                answers = [await entry.future for entry in entries]
        except TimeoutError:
            self._abandon(entries, "deadline")
            raise Refusal(TOO_LATE, "there was no answer before the deadline") from None
        except asyncio.CancelledError:
            is_gone = any(entry.is_abandoned for entry in entries)
            self._abandon(entries, "gone")
            if is_gone:
                raise Gone from None
            raise
        except BaseException:
            self._abandon(entries, "failed")
            raise
        finally:
            if watch is not None:
                watch.end()
            entries[0].siblings = ()  # or each would keep the other until Python looks for such circles
        return answers[0] if len(answers) == 1 else np.concatenate(answers)

    async def close(self) -> None:
        """Wait for the calls that are under way; nothing can be asked afterwards."""
        await self._is_idle.wait()
        self._threads.shutdown(wait=False)

    def _admit(self, rows: int) -> None:
        queued = self._queued_rows
        if queued == 0:
            return
        wait_s = queued / self.rows_per_s
        is_short = queued + rows <= 2 * self._most_rows
        if queued + rows <= self._limits.queue_rows and (is_short or wait_s <= self._limits.queue_s):
            return
        raise self._shed(rows)

    def _shed(self, rows: int) -> Refusal:
        """Note rows that are refused; return what their client is told."""
        queued = self._queued_rows
        self.overload.note_refusal()
        self._observer.shed(rows)
        retry_s = min(_LONGEST_RETRY_S, max(1, math.ceil(queued / self.rows_per_s)))
        why = f"{queued} rows wait to be answered, no more are taken; try again in {retry_s} s"
        return Refusal(OVERLOADED, why, {"retry-after": str(retry_s)})

    def _shed_late(self) -> None:
        """Refuse, in an overload, the requests of which nothing was asked yet and that have waited too long.

        The last that waits is not: the call that could begin now would have nothing to do.
        """
        if not (self._queue and self.overload.is_on):
            return
        before_s = asyncio.get_running_loop().time() - self.overload.patience_s
        last = next(reversed(self._queue.values()))
        for entry in [*self._queue.values()]:
            is_whole = all(id(each) in self._queue for each in entry.siblings)
            if entry.siblings and is_whole and entry.arrived_s < before_s and last not in entry.siblings:
                rows = sum(each.rows for each in entry.siblings)
                _end(entry, self._shed(rows))
                for each in entry.siblings:
                    del self._queue[id(each)]
                self._queued_rows -= rows

    def _abandon(self, entries: Sequence[_Entry], why: str) -> None:
        """Take entries that still wait out of the queue: nobody needs their answers."""
        dropped = 0
        for entry in entries:
            if self._queue.pop(id(entry), None) is not None:
                self._queued_rows -= entry.rows
                dropped += entry.rows
            entry.future.cancel()
            with suppress(asyncio.CancelledError, asyncio.InvalidStateError):
                entry.future.exception()  # it has been seen
        if dropped:
            self._observer.dropped(dropped, why)
            self._note_free()

    def _note_free(self) -> None:
        if self._queue or self._alone or self._running >= self._calls:
            self._is_free.clear()
        else:
            self._is_free.set()

    def _pump(self) -> None:
        """Start as many calls as may run, with what waits."""
        self._start_calls()
        self._note_free()

    def _start_calls(self) -> None:
        while self._alone and self._running < self._calls:
            entry = self._alone.popleft()
            if not entry.future.done():
                self._begin([entry], entry.rows, asyncio.get_running_loop().time())
        while self._queue and self._running < self._calls:
            batch, rows = self._next()
            now_s = asyncio.get_running_loop().time()
            if self._is_batching and rows < min(self._last_shared_rows, self._most_rows):
                waits_until_s = batch[0].arrived_s + self._limits.wait_s
                if now_s < waits_until_s:
                    if self._timer is None:
                        self._timer = asyncio.get_running_loop().call_at(waits_until_s, self._on_time)
                    return
            for entry in batch:
                del self._queue[id(entry)]
            self._queued_rows -= rows
            self._last_shared_rows = rows
            self._begin(batch, rows, now_s)

    def _on_time(self) -> None:
        self._timer = None
        self._pump()

    def _next(self) -> tuple[list[_Entry], int]:
        """Return the entries that share the next call: the oldest, and those after it that can be asked with it."""
        batch: list[_Entry] = []
        rows = 0
        for entry in self._queue.values():
            if not batch:
                batch, rows = [entry], entry.rows
                if not self._is_batching:
                    break
            elif entry.key == batch[0].key and rows + entry.rows <= self._most_rows:
                batch.append(entry)
                rows += entry.rows
            if rows >= self._most_rows:
                break
        return batch, rows

    def _begin(self, batch: list[_Entry], rows: int, now_s: float) -> None:
        """Hand a call to a thread. No task waits for it: each would be one more turn of the loop before an answer."""
        loop = asyncio.get_running_loop()

        def ended(answers: Future[Answers]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._on_answers, batch, rows, now_s, answers)

        try:
            asked = self._threads.submit(_asked, batch)
        except RuntimeError as error:  # there can be no thread
            for entry in batch:
                _end(entry, error)
            return
        self._running += 1
        self._is_idle.clear()
        asked.add_done_callback(ended)

    def _on_answers(self, batch: list[_Entry], rows: int, now_s: float, asked: Future[Answers]) -> None:
        self._running -= 1
        try:
            error = asked.exception()
            if error is None:
                self._share(batch, rows, now_s, asked.result())
            elif len(batch) == 1:
                _end(batch[0], error)
            else:  # one is at fault: the others shall not suffer from it
                self._alone.extend(batch)
            self._shed_late()  # not when rows come: what has waited for nothing is asked, however long that took
        finally:
            self._pump()
            if not self._running:
                self._is_idle.set()

    def _share(self, batch: list[_Entry], rows: int, now_s: float, answers: Answers) -> None:
        """Give each entry of a call its answers, and note how long the call took."""
        call_s = asyncio.get_running_loop().time() - now_s
        fading = max(0.0, 1 - rows / _REMEMBERED_ROWS)
        self._rows, self._busy_s = self._rows * fading + rows, self._busy_s * fading + call_s
        self._observer.batch(rows, len(batch), [now_s - entry.arrived_s for entry in batch], call_s)
        start = 0
        for entry in batch:
            if not entry.future.done():
                entry.future.set_result(answers[start : start + entry.rows])
            start += entry.rows


class _Watch:
    """Cancels what is asked for a client that hangs up, after a while: most are answered before."""

    def __init__(self, entries: Sequence[_Entry], receive: Receive) -> None:
        self._entries, self._receive = entries, receive
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(_UNWATCHED_S, self._begin)

    def end(self) -> None:
        """Watch no longer."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._until_gone())

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        for entry in self._entries:
            entry.is_abandoned = True
            entry.future.cancel()


def _end(entry: _Entry, error: BaseException) -> None:
    if not entry.future.done():
        entry.future.set_exception(error)


def _asked(batch: Sequence[_Entry]) -> Answers:
    return batch[0].model.answer(_joined(batch))


def _joined(batch: Sequence[_Entry]) -> Columns:
    if len(batch) == 1:
        return batch[0].columns
    return {name: np.concatenate([entry.columns[name] for entry in batch]) for name in batch[0].columns}


def _slice(columns: Columns, start: int, end: int) -> Columns:
    return {name: values[start:end] for name, values in columns.items()}
