"""Processes that never outlive the one that started them, whatever kills it. Linux only."""

from __future__ import annotations

import atexit
import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NoReturn

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_SHELLS = {"sh", "dash", "bash", "zsh", "fish", "ksh"}
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent_pid: int | None = None) -> None:
    """Ask the kernel to SIGKILL this process when its parent ends; end at once if the parent has ended already.

    The kernel watches the *thread* that started this process, so a parent must start it from a thread that stays.
    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    expected = os.getppid() if parent_pid is None else parent_pid
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != expected:
        os.kill(os.getpid(), signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of whatever descendant loses its own (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_orphans(own: Collection[int]) -> None:
    """Let go of the adopted processes that have ended; who has started those of its `own` waits for them itself."""
    with suppress(ChildProcessError):
        while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if found.si_pid in own:
                return  # and looks again when that one is reaped
            os.waitpid(found.si_pid, 0)


def die_with_driver() -> int:
    """Make this process end when the program that started it ends, even with a shell in between; return its id.

    DVC starts a stage through `sh -c`; some shells replace themselves with the command, some wait for it. If the driver
    ended before this call, its shell now belongs to init or another reaper, which is in another session.
    """
    die_with_parent()
    driver = os.getppid()
    while driver > 0 and _command_name(driver) in _SHELLS:
        driver = parent_of(driver)
    try:
        is_gone = os.getsid(driver) != os.getsid(0)
    except OSError:  # it has just ended, or this container cannot see it
        is_gone = True
    if is_gone:
        os.kill(os.getpid(), signal.SIGKILL)
    die_with(driver)
    return driver


def die_with(pid: int) -> None:
    """Make this process end when another one, not necessarily its parent, ends; at once if that has ended already."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        os.kill(os.getpid(), signal.SIGKILL)
        return
    threading.Thread(target=_end_with, args=(descriptor,), daemon=True).start()


def leave(code: int) -> NoReturn:
    """End this process at once: run its exit handlers and flush its outputs, but skip CPython's finalization.

    Finalization is slow in a process that has loaded TensorFlow, Spark or MLflow, and its parent has to wait for it.
    The kernel frees all resources anyway.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - what the interpreter itself calls first
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the reader has closed it
            stream.flush()
    os._exit(code)


def die_with_input() -> None:
    """Make this process end when its standard input closes: in a container, the only link to its starter."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def is_running(pid: int, word: str) -> bool:
    """Return whether a process runs with `word` in its command line; false for a zombie."""
    try:
        return word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()  # empty once a process has ended
    except OSError:
        return False


def _end_with(descriptor: int) -> None:
    select.select([descriptor], [], [])  # readable when that process has ended
    os.kill(os.getpid(), signal.SIGKILL)


def _command_name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def parent_of(pid: int) -> int:
    """Return the id of a process's parent; 0 if this container sees none."""
    # The name, in brackets, may contain spaces; what follows the last bracket is state, parent, …
    return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])


def started_ticks(pid: int) -> int:
    """Return when a process started, in clock ticks since boot: two processes with one id differ in it."""
    return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19])


def descendants(pid: int | None = None) -> list[int]:
    """Return the ids of all processes that this one, or the one named, has started, directly or not."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has just ended
                parents[int(entry.name)] = parent_of(int(entry.name))
    found = [os.getpid() if pid is None else pid]
    for each in found:  # which grows meanwhile
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


@contextmanager
def ended_by_interrupt() -> Iterator[None]:
    """Kill what the block has started, directly or not, if the block is interrupted: it may not know of it itself."""
    before = set(descendants())
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        for pid in set(descendants()) - before:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        raise


def start(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    output: IO[bytes] | int = subprocess.PIPE,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own that dies with this process. Both its outputs go to `output`."""
    parent_pid = os.getpid()
    return subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=lambda: die_with_parent(parent_pid),
    )


def end(process: subprocess.Popen[bytes], *, grace_s: float = 5.0) -> None:
    """End a process started by `start` and its whole group: SIGTERM, then SIGKILL after the grace."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        try:
            os.killpg(process.pid, number)
            process.wait(grace_s)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
