"""Several processes that answer at one address, each with a model of its own.

The first process has the address and keeps the workers running, and the follower; it answers nobody. The workers take
connections from the one socket, each as it has time: what one that dies has not taken yet is taken by another, and what
it has taken is cut before an answer, so that its client asks again. It is the operating system's doing that none
outlives the first process.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import TypeAdapter

from pipeline.errors import DataError, StorageError, UsageError
from pipeline.serving.log import JsonLog, Log
from pipeline.serving.readings import socket_of
from pipeline.serving.supervising import Supervisor

if TYPE_CHECKING:
    from pipeline.serving.serve import ServeSettings

MOST_WORKERS = 64
_SETTINGS = "settings.json"
_GRACE_S = 10.0  # beyond what answers that are on their way get
_LOOK_EVERY_S = 0.2
_LONGEST_SOCKET_BYTES = 107  # unix(7): 108, the last of them zero
_NO_USE = {UsageError.exit_code, DataError.exit_code}  # of a worker for which another try would be none


class Worker(NamedTuple):
    """One of `workers`: where they find each other's readings, and its number from 0 on."""

    folder: Path
    number: int
    workers: int


Command = Callable[[Path, int], Sequence[str]]


def worker_command(folder: Path, number: int) -> list[str]:
    """Return the command of a worker whose settings are in a folder; the address is its standard input."""
    return [sys.executable, "-m", "pipeline", "serve", "--worker", str(number), str(folder)]


class Workers:
    """The processes that answer; each dies with this one."""

    def __init__(
        self, settings: ServeSettings, listening: socket.socket, folder: Path, log: Log, command: Command
    ) -> None:
        calls = settings.calls or max(1, len(os.sched_getaffinity(0)) // 2 // settings.workers)
        try:
            written = _form().dump_json(replace(settings, calls=calls, follower=()))
        except ValueError as error:  # a name of the file system may have any bytes
            raise UsageError(
                "--workers: a path that is not UTF-8 cannot be told to workers; rename it, or serve by one process"
            ) from error
        (folder / _SETTINGS).write_bytes(written)
        self._folder = folder
        self.supervisors = [
            Supervisor(
                command(folder, number),
                Path.cwd(),
                log,
                name=f"worker {number}",
                grace_s=settings.limits.end_s + _GRACE_S,
                stdin=listening.fileno(),
            )
            for number in range(settings.workers)
        ]

    @property
    def exit_code(self) -> int | None:
        """The exit code of the last worker, if none has ever answered and none ever would; else None."""
        codes = [each.exit_code for each in self.supervisors]
        has_answered = any(socket_of(self._folder, number).exists() for number in range(len(codes)))
        return codes[-1] if not has_answered and _NO_USE.issuperset(codes) else None

    def close(self) -> None:
        """Let all finish what they have begun, and end them."""
        for each in self.supervisors:
            each.let_end()
        for each in self.supervisors:
            each.close()


def _form() -> TypeAdapter[ServeSettings]:
    from pipeline.serving.serve import ServeSettings

    return TypeAdapter(ServeSettings)


def keep(settings: ServeSettings, listening: socket.socket) -> int:
    """Keep workers answering at an address until SIGTERM or SIGINT; return the exit code.

    Raises StorageError if there is no place for what they share.
    """
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: told.append(number))
    log, code = JsonLog(), None
    with ExitStack() as stack:
        try:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ratchet-serve-")))
        except OSError as error:
            raise StorageError(
                f"there is no place for temporary files, which workers need: {error.strerror}; name one in TMPDIR"
            ) from error
        _keep_usable(folder, stack)
        if settings.follower:
            stack.enter_context(closing(Supervisor(settings.follower, settings.project, log)))
        workers = stack.enter_context(closing(Workers(settings, listening, folder, log, worker_command)))
        while code is None and not told:
            time.sleep(_LOOK_EVERY_S)
            code = workers.exit_code
    log("all workers ended")
    return code or 0


def _keep_usable(folder: Path, stack: ExitStack) -> None:
    """Raise StorageError if no socket can have its name here; keep out whoever tidies up old temporary files.

    A locked folder is left alone by systemd-tmpfiles (tmpfiles.d(5)). Without its settings no worker can start again.
    """
    longest = socket_of(folder, MOST_WORKERS - 1)
    if len(os.fsencode(longest)) > _LONGEST_SOCKET_BYTES:
        raise StorageError(
            f"{folder.parent}: too long a name for the sockets of workers, which may have {_LONGEST_SOCKET_BYTES} "
            "bytes; name another folder in TMPDIR"
        )
    handle = os.open(folder, os.O_RDONLY)
    stack.callback(os.close, handle)
    fcntl.flock(handle, fcntl.LOCK_EX)


def taken(folder: Path, number: int) -> tuple[ServeSettings, socket.socket, Worker]:
    """Return, in a worker, its settings, the address, and which worker it is."""
    settings = _form().validate_json((folder / _SETTINGS).read_bytes())
    listening = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return settings, listening, Worker(folder, number, settings.workers)
