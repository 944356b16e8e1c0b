"""How a stage reports its progress: events for `ratchet run`, plain lines otherwise.

`ratchet run` names a file in the environment; each process of a stage appends JSON objects to it, one per line, and
`ratchet run` draws them. Without that file, readable lines go to standard error, a few seconds apart.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, TypeVar

from pipeline.errors import without_secrets

EVENTS_VARIABLE = "RATCHET_EVENTS"
_STAGE_VARIABLE = "DVC_STAGE"  # DVC names the stage to its process, and so to those that it starts
EVENT_INTERVAL_S = 0.2  # between events for a program
LINE_INTERVAL_S = 5.0  # between lines for a person

T = TypeVar("T")
Starting = Callable[[str], AbstractContextManager[object]]  # `Progress.starting`, or nullcontext for nobody to tell

_PROCESS = "what it needs"


class Throttle:
    """Allows one report per interval, and always the last one."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._last_s = float("-inf")

    def is_due(self, *, is_last: bool = False) -> bool:
        """Return whether to report now."""
        now_s = time.monotonic()
        if not is_last and now_s - self._last_s < self._interval_s:
            return False
        self._last_s = now_s
        return True


class Progress:
    """Progress of one stage. Cheap enough to be called for every batch."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._events_path = os.environ.get(EVENTS_VARIABLE)
        self._throttle = Throttle(EVENT_INTERVAL_S if self._events_path else LINE_INTERVAL_S)

    def begin(self) -> None:
        """Report that the stage began when its process did; what has passed until now is its start-up."""
        self._emit("begin", at_s=_process_start_s(), ready_s=time.time())

    def await_process(self) -> None:
        """Report that the stage waits for a process that has ready what it needs; that one reports `has_process`."""
        self._emit("starting", what=_PROCESS)

    def has_process(self) -> None:
        """Report that the process is there that the stage has waited for."""
        self._emit("started", what=_PROCESS)

    @contextmanager
    def starting(self, what: str, *, since_s: float | None = None) -> Iterator[None]:
        """Report, for as long as the block takes, that something is being started: Spark, TensorFlow …

        This is the stage's start-up, whatever it does meanwhile; the rest of its time is work. `since_s`: since when,
        if that was before the block.
        """
        self._emit("starting", what=what, at_s=time.time() if since_s is None else since_s)
        try:
            yield
        finally:
            self._emit("started", what=what)

    @contextmanager
    def entering(self, what: str, context: AbstractContextManager[T]) -> Iterator[T]:
        """Enter a context that takes a while to enter, as Spark's session does: that is start-up, its block is work."""
        with ExitStack() as stack:
            with self.starting(what):
                value = stack.enter_context(context)
            yield value

    def step(self, what: str) -> None:
        """Report what is being done now, when there is nothing to count (examining the rows, measuring …)."""
        self._emit("step", what=what)

    def advance(self, done: int, total: int | None, unit: str, note: str = "") -> None:
        """Report that `done` of `total` units are done; `note` carries figures worth a glance. Throttled.

        Where nobody knows how many there will be, `total` is None.
        """
        if self._throttle.is_due(is_last=total is not None and done >= total):
            self._emit("advance", done=done, total=total, unit=unit, note=note)

    def finish(self, summary: str, **readings: float) -> None:
        """Report the stage's result in a few words (`12 000 images, 10 classes`), and its readings (peak memory …)."""
        self._emit("finish", summary=summary, **readings)

    def fail(self, message: str, exit_code: int) -> None:
        """Report to `ratchet run` why the stage failed: DVC passes on neither the message nor the exit code."""
        if self._events_path:
            self._emit("fail", summary=message, exit_code=exit_code)

    def _emit(self, event: str, **values: object) -> None:
        values = {key: without_secrets(value) if isinstance(value, str) else value for key, value in values.items()}
        if self._events_path:
            line = json.dumps({"stage": self._stage, "event": event, "at_s": time.time(), **values}) + "\n"
            descriptor = os.open(self._events_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(descriptor, line.encode())  # one write: lines of several ranks never mix
            finally:
                os.close(descriptor)
        elif event not in ("begin", "started"):
            print(f"{self._stage}: {_as_text(event, values)}", file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def starting_since_birth(what: str) -> Iterator[None]:
    """As `Progress.starting`, in a process that a stage has started, and from that process's start on.

    Without a run there is nobody to report to: what such a process prints may be an answer to the stage.
    """
    stage = os.environ.get(_STAGE_VARIABLE)
    if stage is None or EVENTS_VARIABLE not in os.environ:
        yield
        return
    with Progress(stage).starting(what, since_s=_process_start_s()):
        yield


def _process_start_s() -> float:
    # proc_pid_stat(5): field 22, the start in clock ticks since boot; the name, in brackets, may contain spaces.
    with open("/proc/self/stat") as stat:  # noqa: PTH123 - pathlib is not loaded here
        ticks = int(stat.read().rpartition(")")[2].split()[19])
    booted_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted_s + ticks / os.sysconf("SC_CLK_TCK")


def count(number: int) -> str:
    """Return a count with spaces between its thousands: `14 000`."""
    return f"{number:_}".replace("_", " ")


def progress_of(done: int, total: int | None, unit: str) -> str:
    """Return how far something is: `4 000 of 14 000 rows`, or `4 000 rows` where nobody knows how many there are."""
    return f"{count(done)} {unit}" if total is None else f"{count(done)} of {count(total)} {unit}"


def _as_text(event: str, values: dict[str, Any]) -> str:
    if event == "advance":
        note = f"  {values['note']}" if values["note"] else ""
        return f"{progress_of(values['done'], values['total'], values['unit'])}{note}"
    if event == "starting":
        return f"starting {values['what']}"
    return str(values.get("what") or values.get("summary") or event)
