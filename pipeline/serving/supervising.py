"""Keeps processes of the service running: one that ends, whatever ends it, is started again, later each time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pipeline
from pipeline.runtime import processes
from pipeline.serving.log import Log

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
_GRACE_S = 5.0
_LASTED_S = 60.0  # after which it has worked, and the waits begin anew


class Supervisor:
    """One process that is kept running, in the folder of a project; it dies with this one."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        log: Log,
        first_wait_s: float = _FIRST_WAIT_S,
        *,
        name: str = "follower",
        grace_s: float = _GRACE_S,
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        self._command, self._folder, self._log, self._first_wait_s = command, folder, log, first_wait_s
        self._name, self._grace_s, self._stdin = name, grace_s, stdin
        self._is_over = threading.Event()
        self.process: subprocess.Popen[bytes] | None = None
        self.exit_code: int | None = None  # of the last one that ended by itself
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)
        self._thread.start()  # the process dies with the thread that starts it, which stays

    def let_end(self) -> None:
        """Begin to end the process, and do not start it again."""
        self._is_over.set()

    def close(self) -> None:
        """End the process, and do not start it again."""
        self.let_end()
        self._thread.join()

    def _keep(self) -> None:
        wait_s = self._first_wait_s
        while not self._is_over.is_set():
            began_s = time.monotonic()
            try:
                self.process = processes.start(
                    self._command, folder=self._folder, environment=environment(), output=2, stdin=self._stdin
                )
            except OSError as error:  # no memory for it, or too many processes: there may be room later
                self._log(f"{self._name} not started", why=error.strerror, again_in_s=wait_s)
                wait_s = self._waited(wait_s)
                continue
            while self.process.poll() is None and not self._is_over.wait(0.2):
                pass
            processes.end(self.process, grace_s=self._grace_s)
            if self._is_over.is_set():
                return
            self.exit_code = self.process.returncode
            if time.monotonic() - began_s > _LASTED_S:
                wait_s = self._first_wait_s
            self._log(f"{self._name} ended", exit_code=self.process.returncode, again_in_s=wait_s)
            wait_s = self._waited(wait_s)

    def _waited(self, wait_s: float) -> float:
        """Wait before the next try, unless it is over; return how long to wait the next time."""
        self._is_over.wait(wait_s)
        return min(_LONGEST_WAIT_S, 2 * wait_s)


def follower_command(
    project: Path, name: str, folder: Path, formats: Sequence[str], *, challenger: str = "", once: bool = False
) -> list[str]:
    """Return the command of a follower; see `follower`."""
    return [
        sys.executable, "-m", "pipeline.serving.follower", str(project), name, str(folder.absolute()),
        *(["--formats", ",".join(formats)] if formats else []), *(["--challenger", challenger] if challenger else []),
        *(["--once"] if once else []),
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """Return the environment of a process that imports this package from where it is."""
    places = [str(Path(pipeline.__path__[0]).parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
