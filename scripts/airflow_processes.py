"""Which processes make up the Airflow that was started in this checkout, and how all of them are ended. Linux.

Airflow's parts change their titles, tasks start commands in sessions of their own, any of them may have been killed. A
process belongs to it when one of these holds:

- it carries the checkout's mark in the environment it was started with, or shares its session with one that does,
- it is in the session that the recorded process leads or led,
- a process that belongs to it started it.

Pids are reused: what is recorded has a start time and a boot, and signals go through a descriptor of the process.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

MARK = "RATCHET_AIRFLOW_OF"  # the variable that marks the processes; its value is the checkout
_PARTS = {  # what standalone starts, by the name of the process: scripts/loopback/airflow gives it its own
    "scheduler": "scheduler",
    "dag-processor": "DAG processor",
    "triggerer": "triggerer",
    "api-server": "web server",
    "airflow api_ser": "web server",  # it names itself anew
}
_KILL_S = 5.0  # even SIGKILL takes effect only when the kernel lets go of the process
_LOOK_S = 0.1


@dataclass(frozen=True)
class Started:
    """The `airflow standalone` that was started: who it is, and where it answers."""

    pid: int
    start_ticks: int  # since the machine's boot
    boot: str
    began: float  # Unix time, seconds
    port: int
    log_ports: tuple[int, int]

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_alive(self) -> bool:
        """Whether the very process that was recorded still runs."""
        process = _read(self.pid)
        return process is not None and self.boot == boot() and process.start_ticks == self.start_ticks

    def write(self, path: Path) -> None:
        """Record it, whole or not at all."""
        aside = path.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps(asdict(self)))
        aside.replace(path)

    @classmethod
    def read(cls, path: Path) -> Started | None:
        """Read the record; a missing or damaged one is none."""
        try:
            fields = json.loads(path.read_text())
            return cls(**{**fields, "log_ports": tuple(fields["log_ports"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None


@dataclass(frozen=True)
class Process:
    """A running process, as the kernel tells of it."""

    pid: int
    parent: int
    session: int
    start_ticks: int
    ticks: int  # of processor time, so far
    name: str  # at most 15 bytes
    has_ended: bool  # and whoever started it has not asked after it yet


def boot() -> str:
    """Return the running kernel's own id: another after every boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_ticks(pid: int) -> int:
    """Return when a running process was started, in clock ticks since boot (proc(5), field 22 of stat)."""
    process = _read(pid)
    if process is None:
        raise ProcessLookupError(pid)
    return process.start_ticks


def ended_parts(started: Started) -> list[str]:
    """Return, in words, the parts that have ended while the standalone that started them runs on.

    It asks after none of them before it ends itself: until then the kernel remembers that they were there.
    """
    entries = (_look(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    ended = (process for process in entries if process and process.has_ended and process.parent == started.pid)
    return sorted(_PARTS[process.name] for process in ended if process.name in _PARTS)


def find(checkout: Path, started: Started | None) -> dict[int, Process]:
    """Return all processes of this checkout's Airflow but this one, by pid."""
    table = _all_processes()
    sessions = {table[pid].session for pid in table if _carries_mark(pid, checkout)}
    if started and started.boot == boot() and _is_session_of(started, table):
        sessions.add(started.pid)
    found = {pid for pid, process in table.items() if process.session in sessions}
    while more := {pid for pid, process in table.items() if process.parent in found} - found:
        found |= more
    return {pid: table[pid] for pid in sorted(found - {os.getpid()})}


def ticks(checkout: Path, session: int) -> dict[int, int]:
    """Return the processor time of the processes of this checkout's Airflow that share a session, by pid."""
    return {pid: process.ticks for pid, process in find(checkout, None).items() if process.session == session}


def end(checkout: Path, started: Started | None, *, grace_s: float, say: Callable[[str], None]) -> str | None:
    """End all of them: asked first, after `grace_s` killed. Return what was done, None where none was there.

    A running task is not asked: it would count as failed. Killed with its scheduler, it starts anew under the next one.

    Raises `TimeoutError` if a process cannot be killed.
    """
    began_s = time.monotonic()
    seen = set(find(checkout, started))
    if not seen:
        return None
    # Of SIGINT standalone knows what to do: it asks its parts to end, and waits for them. SIGTERM would end it alone.
    leader = _read(started.pid) if started and started.is_alive else None
    is_asked = leader is not None and _send(leader, signal.SIGINT)
    is_told = False
    while (left := find(checkout, started)) and time.monotonic() - began_s < grace_s:
        seen.update(left)
        if not is_told and not (is_asked and started and started.is_alive):
            for process in left.values():
                if process.parent not in left:  # a part without a standalone to tell it; it tells those it started
                    _send(process, signal.SIGTERM)
            is_told = True
        time.sleep(_LOOK_S)
    killed = set()
    if left:
        titles = {_title(process) for process in left.values()}
        say(f"still there after {grace_s:.0f} s, to be killed: {len(left)} ({', '.join(sorted(titles))})")
    deadline_s = time.monotonic() + _KILL_S
    while left := find(checkout, started):
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"processes {', '.join(map(str, left))} do not end")
        killed |= {pid for pid, process in left.items() if _send(process, signal.SIGKILL)}
        seen.update(left)
        time.sleep(_LOOK_S / 2)
    by_force = f", {len(killed)} of them by force" if killed else ""
    return f"{len(seen)} processes ended in {time.monotonic() - began_s:.1f} s{by_force}"


def _title(process: Process) -> str:
    words = _command(process.pid).replace(b"\0", b" ").decode(errors="replace").split()
    parts = (words[at + 1 : at + 2] for at, word in enumerate(words) if Path(word).name == "airflow")
    return next((" ".join(["airflow", *part]) for part in parts), "a task")


def _send(process: Process, number: signal.Signals) -> bool:
    """Send a signal to this very process; say whether it was still there."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process.pid)
        try:
            if (now := _read(process.pid)) and now.start_ticks == process.start_ticks:
                signal.pidfd_send_signal(descriptor, number)
                return True
        finally:
            os.close(descriptor)
    return False


def _is_session_of(started: Started, table: dict[int, Process]) -> bool:
    """Say whether the session that the recorded process led is still its own, and not one of a reused pid."""
    if leader := table.get(started.pid):
        return leader.start_ticks == started.start_ticks
    # The number is given out again only when nothing of the session is left. Should that have happened: Airflow's
    # processes say what they are, in their command line or in the title that they replace it with.
    members = [process for process in table.values() if process.session == started.pid]
    later = [process.pid for process in members if process.start_ticks >= started.start_ticks]
    return any(b"airflow" in _command(pid) for pid in later)


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _carries_mark(pid: int, checkout: Path) -> bool:
    with suppress(OSError):  # gone, or somebody else's
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        return f"{MARK}={checkout}".encode() in environment.split(b"\0")
    return False


def _all_processes() -> dict[int, Process]:
    processes = (_read(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return {process.pid: process for process in processes if process}


def _read(pid: int) -> Process | None:
    """Return a running process: None for one that is gone, or has ended and is not reaped yet."""
    process = _look(pid)
    return process if process and not process.has_ended else None


def _look(pid: int) -> Process | None:
    """Read /proc/PID/stat: None for a process that is gone."""
    try:
        # The name, in brackets, may hold anything; after the last bracket: state, parent, group, session, … (proc(5))
        before, _, after = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")
    except OSError:
        return None
    fields = after.split()
    return Process(
        pid=pid,
        parent=int(fields[1]),
        session=int(fields[3]),
        start_ticks=int(fields[19]),
        ticks=int(fields[11]) + int(fields[12]),
        name=before.partition("(")[2],
        has_ended=fields[0] in "ZX",
    )
