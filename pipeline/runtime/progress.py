"""How a stage reports its progress: events for `ratchet run`, plain lines otherwise.

`ratchet run` names a file in the environment; each process of a stage appends JSON objects to it, one per line, and
`ratchet run` draws them. Without that file, readable lines go to standard error, a few seconds apart.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from pipeline.errors import without_secrets

EVENTS_VARIABLE = "RATCHET_EVENTS"
EVENT_INTERVAL_S = 0.2  # between events for a program
LINE_INTERVAL_S = 5.0  # between lines for a person


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
        """Report that the stage began when its process did, so that its time includes the interpreter's start."""
        self._emit("begin", at_s=_process_start_s())

    def step(self, what: str) -> None:
        """Report what is being done now, when there is nothing to count (starting Spark, importing TensorFlow …)."""
        self._emit("step", what=what)

    def advance(self, done: int, total: int, unit: str, note: str = "") -> None:
        """Report that `done` of `total` units are done; `note` carries figures worth a glance. Throttled."""
        if self._throttle.is_due(is_last=done >= total):
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
        elif event != "begin":
            print(f"{self._stage}: {_as_text(event, values)}", file=sys.stderr, flush=True)  # noqa: T201


def _process_start_s() -> float:
    # proc_pid_stat(5): field 22, the start in clock ticks since boot; the name, in brackets, may contain spaces.
    with open("/proc/self/stat") as stat:  # noqa: PTH123 - pathlib is not loaded here
        ticks = int(stat.read().rpartition(")")[2].split()[19])
    booted_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted_s + ticks / os.sysconf("SC_CLK_TCK")


def count(number: int) -> str:
    """Return a count with spaces between its thousands: `14 000`."""
    return f"{number:_}".replace("_", " ")


def _as_text(event: str, values: dict[str, Any]) -> str:
    if event == "advance":
        note = f"  {values['note']}" if values["note"] else ""
        return f"{count(values['done'])} of {count(values['total'])} {values['unit']}{note}"
    return str(values.get("what") or values.get("summary") or event)
