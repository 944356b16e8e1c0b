"""Cores of its own for each rank, claimed by lock, so that two trainings on one machine never pile up on the same ones.

A rank that stays on its core keeps its caches, and its helper threads cannot take another rank's core in the middle of a
step: in synchronous training one interrupted rank holds up all. Nothing here changes a result.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def own_cores(count: int, ranks_here: int, first_choice: int) -> Iterator[frozenset[int]]:
    """Keep this process, and the threads it starts in the block, to `count` cores that no other rank has claimed.

    Gives the cores; none, and leaves the process free, where all `ranks_here` could not have as many, or others were
    quicker. `first_choice` spreads the ranks, so that they seldom ask for the same ones.
    """
    allowed = sorted(os.sched_getaffinity(0))
    claims: dict[int, IO[bytes]] = {}
    if count * ranks_here <= len(allowed):
        begin = first_choice * count % len(allowed)
        for core in allowed[begin:] + allowed[:begin]:
            claim = _claim(core)
            if claim is not None:
                claims[core] = claim
            if len(claims) == count:
                break
    is_enough = len(claims) == count
    try:
        if is_enough:
            os.sched_setaffinity(0, claims)
        yield frozenset(claims if is_enough else ())
    finally:
        if is_enough:
            os.sched_setaffinity(0, allowed)
        for claim in claims.values():
            claim.close()


class HelperThreads:
    """The threads that a library starts for itself: made to wait for their turn, except when they are waited for.

    Horovod's background thread wakes every cycle, and Gloo's spins while that one holds a connection's lock: as
    ordinary threads they take 10 to 25 % of a rank's core from the computation. As batch threads (SCHED_BATCH, sched(7))
    they interrupt nobody. While the computation waits for an exchange they are ordinary threads, so that other
    programs' work does not come before theirs.
    """

    def __init__(self, start: Callable[[], object]) -> None:
        before = _threads()
        start()
        self._threads = sorted(_threads() - before)
        self._set(os.SCHED_BATCH)

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """Let them interrupt others within the block."""
        if os.environ.get("HURRY", "1") == "1":
            self._set(os.SCHED_OTHER)
        try:
            yield
        finally:
            self._set(os.SCHED_BATCH)

    def _set(self, policy: int) -> None:
        with suppress(PermissionError, ProcessLookupError):  # a sandbox may forbid it: slower, but no other result
            for thread in self._threads:
                os.sched_setscheduler(thread, policy, os.sched_param(0))


def _threads() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/task")}


def _claim(core: int) -> IO[bytes] | None:
    """Claim a core for as long as the file stays open; the kernel lets go of it when the process ends."""
    folder = Path(tempfile.gettempdir()) / f"ratchet-cores-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    stream = (folder / str(core)).open("wb")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        return None
    return stream
