"""Waiting for progress, not for a clock: a wait fails only when what it watches has stood still for long.

A machine may be several times slower than the one a test was written on, and busy with other work besides. How long
something takes there says nothing about whether it works; that nothing moves any more does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import TypeVar

import psutil

STALL_S = 300.0
HANG_S = 3600.0  # the guard of a single command that cannot be watched while it runs
_WATCH_S = 5.0  # so often what shows progress is looked at, which may cost more than to ask

T = TypeVar("T")


def wait_for(
    ask: Callable[[], T | None],
    what: str,
    *,
    progress: Callable[[], object] = lambda: None,
    explain: Callable[[], object] = lambda: "",
    look_s: float = 0.05,
) -> T:
    """Ask until the answer is true, and return it; fail once `progress` has shown the same for STALL_S.

    `progress` returns anything that compares: states, sizes, processor time. Only the time that this process itself has
    slept counts: where it is kept from looking, as on a machine that is overloaded, it does not lose patience either.
    """
    seen: object = None
    stalled_s, unwatched_s = 0.0, 0.0
    while not (answer := ask()):
        if unwatched_s >= _WATCH_S:
            unwatched_s = 0.0
            if (shown := progress()) != seen:
                seen, stalled_s = shown, 0.0
        assert stalled_s < STALL_S, f"{what}: nothing has moved for {STALL_S:.0f} s; last seen: {seen}\n{explain()}"
        time.sleep(look_s)
        stalled_s += look_s
        unwatched_s += look_s
    return answer


def size_of(path: Path) -> int:
    """Return the bytes in a file, or in all files under a folder; 0 if there is none. It may change meanwhile."""
    total = 0
    inside = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)  # passes over what has gone
    for file in chain([path], inside):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def work_of(processes: Iterable[psutil.Process]) -> dict[int, int]:
    """Return the processor time that each process has used, in whole seconds, by process id."""
    used = {}
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        used[process.pid] = int(times.user + times.system)
    return used
