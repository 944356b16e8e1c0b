"""Runs a module of this room in a process of its own: forked from the server of the run, or new."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import pipeline
from pipeline.errors import DataError, TryAgain
from pipeline.runtime import processes
from pipeline.runtime.warm import client

_MESSAGE_LIMIT = 200


def ended(module: str, arguments: Sequence[str], output: IO[bytes], timeout_s: float) -> int:
    """Run a module, whose output goes to `output`; return its exit code, negative of the signal that has ended it.

    Raises TimeoutError, or subprocess's.
    """
    if client.is_forked():
        with suppress(client.NoServer), client.forked(module, arguments, ["tensorflow"], output.fileno()) as forked:
            code = forked.wait(timeout_s)
            assert code is not None
            return code
    package_folder = Path(pipeline.__path__[0]).parent
    command = [sys.executable, "-m", module, *arguments]
    process = processes.start(command, folder=package_folder, environment=os.environ, output=output)
    try:
        return process.wait(timeout_s)
    finally:
        processes.end(process)


def require_done(module: str, arguments: Sequence[str], log: Path, timeout_s: float, what: str) -> None:
    """Run a module to its end. Raises DataError with the last line that it printed, led by `what`, if it fails.

    TryAgain if it takes too long; a signal that ends it is a failure too: converters written in C++ end so.
    """
    with log.open("wb") as output:
        try:
            code = ended(module, arguments, output, timeout_s)
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            raise TryAgain(f"{what}: not done within {timeout_s:g} s; run again") from error
    if code < 0:
        raise DataError(f"{what}: the process was ended by signal {-code}")
    if code != 0:
        raise DataError(f"{what}: {last_said(log)}")


def last_said(log: Path) -> str:
    """Return the last line that a process has printed."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()] or ["it said nothing"]
    return lines[-1].strip().replace(f"{log.parent}/", "")[:_MESSAGE_LIMIT]
