"""Supervises ranks: passes on their progress, and says in one line why a training ended early."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from pipeline import errors
from pipeline.errors import Bug, RatchetError, TryAgain
from pipeline.runtime.progress import Progress

_GRACE_S = 3.0  # how long after its consequence the cause may arrive
_TAIL_BYTES = 4096
_AGAIN = "the other ranks were stopped; run again: it continues after the last finished epoch"


@dataclass
class Rank:
    """A started rank: its process, and what it has reported so far."""

    number: int
    host: str
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    failure: tuple[str, str] | None = None  # class of the error, message
    has_lost_peers: bool = False
    _unread: bytes = field(default=b"", repr=False)

    def read(self, progress: Progress, at_step: Callable[[], object]) -> bool:
        """Read what the rank has sent; return whether its channel is still open. `at_step` is called for its steps."""
        assert self.process.stdout is not None
        content = os.read(self.process.stdout.fileno(), 65_536)
        *lines, self._unread = (self._unread + content).split(b"\n")
        for line in lines:
            self._handle(json.loads(line), progress, at_step)
        return bool(content)

    def _handle(self, event: dict[str, Any], progress: Progress, at_step: Callable[[], object]) -> None:
        match event.pop("event"):
            case "step":
                progress.step(event["what"])
            case "advance":
                at_step()
                progress.advance(**event)
            case "failed":
                self.failure = event["kind"], event["message"]
            case "lost":
                self.has_lost_peers = True

    def last_words(self) -> str:
        """Return the last lines of the rank's standard error, as one line."""
        size = self.errors.seek(0, os.SEEK_END)
        self.errors.seek(max(0, size - _TAIL_BYTES))
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return " | ".join(line.strip() for line in lines[-3:]) or "it said nothing"

    def end(self) -> None:
        """Kill the rank and its process group, if still running, and reap it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            if stream is not None:
                stream.close()


def supervise(ranks: Sequence[Rank], progress: Progress, *, at_step: Callable[[], object] = lambda: None) -> None:
    """Wait until every rank has succeeded; raise as soon as it is clear why one failed.

    `at_step` is called whenever the ranks report steps, for the first time when they have begun to train.
    """
    with selectors.DefaultSelector() as selector:
        for rank in ranks:
            selector.register(rank.process.stdout, selectors.EVENT_READ, rank)  # type: ignore[arg-type]
        deadline_s: float | None = None
        while selector.get_map():
            for key, _ in selector.select(None if deadline_s is None else max(0.0, deadline_s - time.monotonic())):
                rank = key.data
                if not rank.read(progress, at_step):  # the end of its channel is the end of the rank
                    selector.unregister(key.fileobj)
                    rank.process.wait()
            failed = [rank for rank in ranks if rank.process.returncode]
            if failed and deadline_s is None:
                deadline_s = time.monotonic() + _GRACE_S
            if failed and (any(is_cause(rank) for rank in failed) or time.monotonic() >= (deadline_s or 0.0)):
                break
    failed = [rank for rank in ranks if rank.process.returncode]
    if failed:
        raise why(failed)


def is_cause(rank: Rank) -> bool:
    """Return whether a rank failed by itself, rather than because another rank was gone."""
    return bool(rank.process.returncode) and not rank.has_lost_peers


def why(failed: Sequence[Rank]) -> RatchetError:
    """Return the error of a training whose ranks failed: a rank's own error, a lost rank, or a bug."""
    causes = [rank for rank in failed if is_cause(rank)]
    for rank in causes:
        if rank.failure is not None:
            kind, message = rank.failure
            error: RatchetError = getattr(errors, kind)(message)
            return error
    for rank in causes:
        code = rank.process.returncode
        if code < 0:
            name = signal.Signals(-code).name
            return TryAgain(f"training: rank {rank.number} on {rank.host} was ended by {name}; {_AGAIN}")
    if causes:
        rank = causes[0]
        code, words = rank.process.returncode, rank.last_words()
        return Bug(f"training: rank {rank.number} on {rank.host} exited with {code}: {words}")
    lost = ", ".join(str(rank.number) for rank in failed)
    return TryAgain(f"training: rank {lost} lost touch with the others; {_AGAIN}")
