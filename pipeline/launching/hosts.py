"""Where the ranks run: `localhost`, or `host:slots,…` for several hosts, and the command that starts each there."""

from __future__ import annotations

import shlex
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Slot:
    """The position of one rank among all, among those of its host (local) and among the hosts (cross)."""

    host: str
    rank: int
    local_rank: int
    cross_rank: int
    size: int
    local_size: int
    cross_size: int

    def environment(self) -> dict[str, str]:
        """Return the environment variables that tell Horovod its rank."""
        return {
            "HOROVOD_HOSTNAME": self.host,
            "HOROVOD_RANK": str(self.rank),
            "HOROVOD_SIZE": str(self.size),
            "HOROVOD_LOCAL_RANK": str(self.local_rank),
            "HOROVOD_LOCAL_SIZE": str(self.local_size),
            "HOROVOD_CROSS_RANK": str(self.cross_rank),
            "HOROVOD_CROSS_SIZE": str(self.cross_size),
        }


def parse_hosts(text: str, workers: int) -> list[tuple[str, int]]:
    """Parse `host:slots,…`; a single host without slots takes all workers. Raise UsageError if slots are too few."""
    entries = [entry.strip() for entry in text.split(",")]
    if len(entries) == 1 and entries[0] and ":" not in entries[0]:
        return [(entries[0], workers)]
    hosts = []
    for entry in entries:
        name, _, slots = entry.rpartition(":")
        if not name or not slots.isdigit() or int(slots) == 0 or name.startswith("-"):
            raise UsageError(f"horovod.hosts: '{entry}' is not host:slots; write, for example, localhost:2,node1:2")
        hosts.append((name, int(slots)))
    twice = {name for name, _ in hosts if [other for other, _ in hosts].count(name) > 1}
    if twice:
        raise UsageError(
            f"horovod.hosts: {', '.join(sorted(twice))} appears twice; give each host once, with all its slots"
        )
    total = sum(slots for _, slots in hosts)
    if total < workers:
        raise UsageError(f"horovod.hosts: {total} slots for {workers} workers; add slots or lower horovod.workers")
    return hosts


def assign_slots(hosts: Sequence[tuple[str, int]], workers: int) -> list[Slot]:
    """Assign the ranks to slots, host by host, as Horovod's own launcher does."""
    used: list[tuple[str, int]] = []
    left = workers
    for host, slots in hosts:
        if left > 0:
            used.append((host, min(slots, left)))
            left -= used[-1][1]
    assigned: list[Slot] = []
    for cross_rank, (host, count) in enumerate(used):
        for local_rank in range(count):
            peers = [number for number, (_, others) in enumerate(used) if others > local_rank]
            assigned.append(
                Slot(
                    host=host,
                    rank=len(assigned),
                    local_rank=local_rank,
                    cross_rank=peers.index(cross_rank),
                    size=workers,
                    local_size=count,
                    cross_size=len(peers),
                )
            )
    return assigned


def is_local(host: str) -> bool:
    """Return whether a host is this machine: its address can be bound here. Raise UsageError for an unknown name."""
    try:
        address = socket.gethostbyname(host)
    except OSError as error:
        raise UsageError(f"horovod.hosts: host '{host}' cannot be found ({error}); check its name") from error
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def worker_command(arguments: Sequence[str]) -> list[str]:
    """Return the command of a rank on this machine."""
    return [sys.executable, "-m", "pipeline.launching.worker", *arguments]


def remote_command(host: str, folder: Path, environment: Mapping[str, str], arguments: Sequence[str]) -> list[str]:
    """Return the ssh command of a rank on another host: same folder, same interpreter, as horovodrun does.

    ssh must work without a password. The rank exits when its standard input, which ssh carries, ends.
    """
    variables = [f"{name}={shlex.quote(value)}" for name, value in sorted(environment.items())]
    command = " ".join(["exec", "env", *variables, *(shlex.quote(part) for part in worker_command(arguments))])
    return ["ssh", "-o", "BatchMode=yes", host, f"cd {shlex.quote(str(folder))} && {command}"]
