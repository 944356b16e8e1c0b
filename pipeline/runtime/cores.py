"""Dedicated cores for each rank, claimed by locks, so that two trainings on one machine never share a core.

A rank that stays on its core keeps its caches, and its helper threads cannot take another rank's core in the middle of
a step: in synchronous training one interrupted rank delays all. Nothing here changes a result.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from pipeline.errors import StorageError
from pipeline.runtime.user_folder import machine_folder, open_private


@contextmanager
def own_cores(count: int, ranks_here: int, first_choice: int) -> Iterator[frozenset[int]]:
    """Pin this process, and the threads it starts in the block, to `count` cores that no other rank has claimed.

    Yields the cores; an empty set, with the process not pinned, if there are too few for all `ranks_here` or other
    ranks have claimed them. `first_choice` spreads the ranks, so that they seldom try the same cores.
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


@contextmanager
def yielding_threads() -> Iterator[None]:
    """Let the threads that start in the block wait for their turn instead of interrupting (SCHED_BATCH, sched(7)).

    Horovod's background thread wakes every cycle, and Gloo's thread spins while the former holds a connection's lock:
    as ordinary threads they take a share of the rank's only core. As batch threads they run when the computation
    pauses, which it does exactly when it waits for them.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    with suppress(PermissionError):  # a sandbox may forbid it: slower, but the same result
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        yield
    finally:
        with suppress(PermissionError):
            os.sched_setscheduler(0, policy, parameters)


def _claim(core: int) -> IO[bytes] | None:
    """Claim a core for as long as the file stays open; the kernel releases it when the process ends."""
    try:
        stream = open_private(machine_folder("cores") / str(core))
    except (StorageError, OSError):
        return None  # where there is no folder of the user's own, ranks are not pinned: slower, but the same result
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        return None
    return stream
