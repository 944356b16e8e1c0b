"""Copies of requests for the challenger: asked after the champion has answered, and only compared.

No request waits for a copy, or is refused for one: copies are asked in a thread of their own, one call after another,
each begun only while the champion's and the challenger's own queues are free. What waits is bounded in number and in
bytes; what does not fit is dropped and counted, as everything is that waits at the end.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.export.parity import classes_of
from pipeline.records.served_model import ServedModel
from pipeline.serving.batching import Answers, Batcher
from pipeline.serving.limits import Limits
from pipeline.serving.log import Log
from pipeline.serving.metrics import Metrics
from pipeline.serving.model import LoadedModel
from pipeline.serving.roles import CHALLENGER
from pipeline.serving.values import Part
from pipeline.storage.shards import Columns


class Copy(NamedTuple):
    """A request that the champion has answered: its rows, its answers `[row, number]`, and whom they are copied to."""

    champion: LoadedModel
    challenger: LoadedModel
    parts: Sequence[Part]
    answers: Answers

    @property
    def size_bytes(self) -> int:
        """How much memory its rows take, about."""
        return sum(_size_bytes(values) for part in self.parts for values in part.columns.values())


class Compared(NamedTuple):
    """How two answers to the same rows differ: `disagreements` rows, and `differences` of those that both answered."""

    disagreements: int
    differences: list[float]


class Shadow:
    """Takes copies, and asks the challenger. All its methods belong to one event loop."""

    def __init__(self, queues: Sequence[Batcher], limits: Limits, metrics: Metrics, log: Log) -> None:
        self._queues, self._limits, self._metrics, self._log = queues, limits, metrics, log
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        self._copies: deque[Copy] = deque()
        self._held = self._held_bytes = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many copies wait or are being asked."""
        return self._held

    def take(self, copy: Copy) -> None:
        """Keep a copy until it can be asked, or drop it. Never waits."""
        size_bytes = copy.size_bytes
        if self._held >= self._limits.copies or self._held_bytes + size_bytes > self._limits.copies_bytes:
            self._metrics.copied("dropped")
            return
        self._copies.append(copy)
        self._held += 1
        self._held_bytes += size_bytes
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())

    def close(self) -> None:
        """Drop what waits; nothing can be taken afterwards."""
        if self._task is not None:
            self._task.cancel()
        for _ in range(self._held):
            self._metrics.copied("dropped")
        self._copies.clear()
        self._thread.shutdown(wait=False)

    async def _work(self) -> None:
        while self._copies:
            copy = self._copies.popleft()
            try:
                await self._ask(copy)
            except Exception as error:  # noqa: BLE001 - a model raises anything, and nobody waits for this one
                self._metrics.copied("failed")
                self._metrics.not_answered_by(CHALLENGER, copy.challenger.version, "failed")
                self._log("copy failed", error=type(error).__name__)  # its text may repeat values
            self._held -= 1
            self._held_bytes -= copy.size_bytes
        self._task = None

    async def _ask(self, copy: Copy) -> None:
        answers = np.empty_like(copy.answers)
        for part in copy.parts:
            for start in range(0, len(part.places), self._limits.batch_rows):
                piece = slice(start, start + self._limits.batch_rows)
                answers[part.places[piece]] = await self._call(
                    copy.challenger, {name: values[piece] for name, values in part.columns.items()}
                )
        found = compared(copy.champion.served, copy.challenger.served, copy.answers, answers)
        self._metrics.copied("compared")
        self._metrics.compared(copy.challenger.version, len(answers), found.disagreements, found.differences)

    async def _call(self, challenger: LoadedModel, columns: Columns) -> Answers:
        while not all(queue.is_free for queue in self._queues):
            for queue in self._queues:
                await queue.until_free()
        began_s = time.perf_counter()
        answers = await asyncio.get_running_loop().run_in_executor(self._thread, challenger.answer, columns)
        self._metrics.called(CHALLENGER, len(answers), time.perf_counter() - began_s)
        return answers


def compared(champion: ServedModel, challenger: ServedModel, own: Answers, other: Answers) -> Compared:
    """Compare the answers `[row, number]` of two models to the same rows; each has its class by its own threshold.

    A row that one of them has no answer to is a disagreement without a difference; one that neither has, is neither.
    """
    has_own, has_other = (~np.isnan(answers).any(axis=1) for answers in (own, other))
    disagrees = has_own != has_other
    if champion.classes:
        disagrees |= classes_of(own, champion.threshold) != classes_of(other, challenger.threshold)
    both = has_own & has_other
    gaps = np.abs(own[both].astype(np.float64) - other[both].astype(np.float64))
    return Compared(int(disagrees.sum()), gaps.max(axis=1, initial=0.0).tolist())


def _size_bytes(values: npt.NDArray[np.generic]) -> int:
    if values.dtype != np.object_:
        return values.nbytes
    return values.nbytes + sum(map(sys.getsizeof, values))
