"""The server of a warm run: one small process for a run and machine. Started by a stage's client.

All happens in one thread, one event after another. It ends with its anchor (DVC's process; in a run in steps, the one
above its tasks), when nobody has asked for anything for a while, and after a stage's process was killed: the next stage
starts another. What it has started ends with it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.runtime import processes
from pipeline.runtime.warm import messages

PLAIN, SPARK = "plain", "spark"  # the parents: that of Spark ends with the JVM
SHARED = "shared"  # what a stage says of Spark that works in the run's JVM
_PARENT = Path(__file__).with_name("parent.py")
_JVM_ENDS_WITHIN_S = 2.0  # its temporary files are removed meanwhile


def common(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what all stages of a run have in their environment: not what names this stage, its files and settings."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("RATCHET_") and name not in ("DVC_STAGE", "DVC_ROOT")
    }


@dataclass(eq=False)
class Process:
    """The process of a stage: who asked for it, which parent forks it, and whether it may have the run's JVM."""

    client: socket.socket
    parent: str
    shares_jvm: bool
    is_last_of_spark: bool
    pid: int | None = None


@dataclass
class Jvm:
    """The run's JVM by its holder: `starting`, `idle`, `leased` to a stage's process, `released` by it, `clearing`.

    It is cleared when that process has ended: until then its threads may go on giving orders.
    """

    holder: socket.socket
    wanted: Mapping[str, Any]
    state: str = "starting"
    address: dict[str, Any] = field(default_factory=dict)
    user: Process | None = None
    lessee: socket.socket | None = None
    pidfd: int = -1


class Server:
    """Starts parents and a JVM when they are asked for, and passes on how the processes of stages end."""

    def __init__(self, listener: socket.socket, path: Path, anchor: int, idle_s: float) -> None:
        self._path, self._anchor, self._idle_s = path, anchor, idle_s
        self._listener: socket.socket | None = listener
        self._handlers: dict[int, Callable[[], None]] = {listener.fileno(): self._accept}
        self._clients: set[socket.socket] = set()
        self._parents: dict[str, tuple[socket.socket, subprocess.Popen[bytes]]] = {}
        self._processes: dict[int, Process] = {}
        self._number = 0
        self._jvm: Jvm | None = None
        self._is_over = False
        self._plan: dict[str, Any] = {}
        self._waiting: list[tuple[socket.socket, Process, Mapping[str, Any]]] = []  # for the JVM
        self._ending: list[tuple[float, int]] = []  # JVMs that have been told to end: until when, and their pidfds

    def serve(self) -> None:
        """Serve until the anchor ends, or there is nothing more to do."""
        quiet_since_s = time.monotonic()
        while True:
            watched = select.poll()
            for descriptor in (self._anchor, *self._handlers):
                watched.register(descriptor, select.POLLIN)
            ready = [descriptor for descriptor, _ in watched.poll(500)]
            if self._anchor in ready or self._is_over:
                return
            if ready:
                self._handlers[ready[0]]()  # one at a time: it may close the others
            self._end_in_time()
            processes.reap_orphans({process.pid for _, process in self._parents.values()})
            if self._clients:
                quiet_since_s = time.monotonic()
            elif self._listener is None or time.monotonic() - quiet_since_s > self._idle_s:
                return

    # What clients ask for

    def _accept(self) -> None:
        assert self._listener is not None
        connection, _ = self._listener.accept()
        pid, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if user != os.getuid():
            connection.close()
            return
        self._clients.add(connection)
        self._handlers[connection.fileno()] = lambda: self._hear(connection, pid)

    def _hear(self, client: socket.socket, pid: int) -> None:
        received = messages.receive(client)
        if received is None:
            self._forget(client)
            return
        message, files = received
        try:
            match message.get("do"):
                case "stage" if len(files) == 3:
                    self._run_stage(client, message, files)
                case "run" if len(files) == 3:
                    self._run(client, message, files)
                case "jvm":
                    self._lease(client, pid, message)
                case "release":
                    self._take_back_jvm(client)
                case "prepare":
                    self._plan = message["plan"]
                    self._prepare(message["needed"])
                    self._forget(client)
                case "end":
                    self._is_over = True
                case _:
                    self._forget(client)
        finally:
            for descriptor in files:
                os.close(descriptor)

    def _run_stage(self, client: socket.socket, message: dict[str, Any], files: list[int]) -> None:
        """Run a stage as the plan of the run says; the client that has started this server has sent it."""
        self._plan = message.get("plan") or self._plan
        planned = self._plan.get(message["name"])
        if planned is None or common(message["environment"]) != common(os.environ):
            self._answer(client, {"no": "it knows another run"})
            return
        if planned["is_past_spark"]:
            self._end_spark()
        if planned["alone"] and not self._processes:
            for parent in list(self._parents):
                self._lose_parent(parent)
        if planned["libraries"] or (planned["may_be_forked"] and planned["parent"] in self._parents):
            self._run(client, {**message, **planned}, files)
        else:
            self._answer(client, {"itself": True})
        if planned["ahead"]:
            self._prepare(planned["ahead"])

    def _prepare(self, needed: Mapping[str, Any]) -> None:
        """Make ready what a later stage needs."""
        if needed["jvm"] and self._jvm is None:
            self._start_jvm(needed["jvm"])
        self._ready_parent(needed["parent"], needed["libraries"])

    def _run(self, client: socket.socket, message: dict[str, Any], files: list[int]) -> None:
        self._number += 1
        parent = self._ready_parent(message["parent"], message["libraries"])
        self._processes[self._number] = Process(
            client, message["parent"], message.get("spark") == SHARED, message.get("is_last_of_spark", False)
        )
        with suppress(OSError):  # it has ended, which it is seen to have
            needed = ("libraries", "module", "arguments", "folder", "environment")
            order = {key: message[key] for key in needed}
            messages.send(parent, {**order, "do": "run", "number": self._number}, files)

    def _answer(self, client: socket.socket, message: Mapping[str, Any]) -> None:
        with suppress(OSError):
            messages.send(client, message)
        self._forget(client)

    def _forget(self, client: socket.socket) -> None:
        """Close a client's connection. If its stage's process has not ended, its client has been killed."""
        if client not in self._clients:
            return
        self._clients.remove(client)
        self._handlers.pop(client.fileno())
        self._waiting = [each for each in self._waiting if each[0] is not client]
        if self._jvm is not None and self._jvm.lessee is client:  # not released: a job may still run in it
            self._end_jvm()
        client.close()
        if any(process.client is client for process in self._processes.values()):
            self._accept_no_more()

    def _accept_no_more(self) -> None:
        if self._listener is not None:
            self._path.unlink(missing_ok=True)  # first: once nobody listens, the name may be another server's
            self._handlers.pop(self._listener.fileno())
            self._listener.close()
            self._listener = None

    # Parents

    def _ready_parent(self, name: str, libraries: list[str]) -> socket.socket:
        """Return the link to a parent that has these libraries imported when it hears what is sent next."""
        if name not in self._parents:
            ours, theirs = messages.pair()
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-P", str(_PARENT)],
                    stdin=theirs.fileno(),
                    preexec_fn=_as_child_of(os.getpid()),
                )
            self._parents[name] = ours, process
            self._handlers[ours.fileno()] = lambda: self._hear_parent(name)
        link, _ = self._parents[name]
        if libraries:
            with suppress(OSError):
                messages.send(link, {"do": "import", "libraries": libraries})
        return link

    def _hear_parent(self, name: str) -> None:
        received = messages.receive(self._parents[name][0])
        if received is None:
            self._lose_parent(name)
            return
        message, _ = received
        if "began" in message:
            if process := self._processes.get(message["began"]):
                process.pid = message["pid"]
                with suppress(OSError):
                    messages.send(process.client, {"began": True})
            return
        if "refused" in message:
            missing = ", ".join(message["missing"])
            refused = self._processes.pop(message["refused"])
            self._answer(refused.client, {"no": f"{missing} cannot be imported; see {self._log()}"})
            return
        process = self._processes.pop(message["ended"], None)
        if process is None:
            return  # the holder of a JVM, whose socket says so too
        if message["code"] < 0:
            self._accept_no_more()
        self._answer(process.client, {"code": message["code"]})
        if process.is_last_of_spark and message["code"] == 0:
            self._end_spark()
        if self._jvm is not None and self._jvm.user is process and self._jvm.state == "released":
            self._clear_jvm(self._jvm)

    def _lose_parent(self, name: str) -> None:
        """A parent has ended, and its children with it."""
        link, process = self._parents.pop(name)
        self._handlers.pop(link.fileno())
        link.close()
        process.kill()
        process.wait()
        for number in [number for number, of in self._processes.items() if of.parent == name]:
            lost = self._processes.pop(number)
            if lost.pid is None:
                self._answer(lost.client, {"no": f"what would start its process was killed; see {self._log()}"})
            else:
                self._accept_no_more()
                self._forget(lost.client)
        if name == SPARK:
            self._end_jvm()

    def _log(self) -> str:
        return str(Path("/proc/self/fd/2").readlink())

    # The JVM

    def _lease(self, client: socket.socket, pid: int, wanted: Mapping[str, Any]) -> None:
        process = next((each for each in self._processes.values() if each.pid == pid and each.shares_jvm), None)
        if process is None:
            self._answer(client, {"no": "the stage does not share it"})
        else:
            self._waiting.append((client, process, wanted))
            self._grant()

    def _grant(self) -> None:
        """Give the JVM, if it is free, to the stage that has waited longest; start one if there is none."""
        while self._waiting:
            client, process, wanted = self._waiting[0]
            jvm = self._jvm
            if jvm is None:
                self._start_jvm(wanted)
            elif jvm.state == "leased" or jvm.user not in (None, process):
                self._answer(client, {"no": "another stage is using it"})
            elif jvm.state not in ("idle", "released"):
                return
            elif any(jvm.wanted[key] != wanted[key] for key in ("conf", "login", "variables")):
                self._end_jvm()
            else:
                self._waiting.pop(0)
                jvm.state, jvm.user, jvm.lessee = "leased", process, client
                with suppress(OSError):
                    messages.send(client, jvm.address)

    def _start_jvm(self, wanted: Mapping[str, Any]) -> None:
        link = self._ready_parent(SPARK, ["pyspark.sql"])
        ours, theirs = messages.pair()
        self._jvm = jvm = Jvm(ours, wanted)
        self._number += 1
        with theirs, suppress(OSError):
            order = {**wanted, "do": "hold", "number": self._number, "libraries": []}
            messages.send(link, order, [theirs.fileno()])
        self._handlers[ours.fileno()] = lambda: self._hear_holder(jvm)

    def _hear_holder(self, jvm: Jvm) -> None:
        received = messages.receive(jvm.holder)
        message: dict[str, Any] = received[0] if received else {"failed": "its holder was killed"}
        if "failed" in message or message.get("left"):
            self._end_jvm()
            if "failed" in message:
                for client, *_ in list(self._waiting):
                    self._answer(client, {"no": message["failed"]})
            else:
                print(f"a stage has left {', '.join(message['left'])}: the next one gets another JVM", flush=True)  # noqa: T201
        elif "port" in message:
            jvm.state, jvm.address = "idle", message
            try:
                jvm.pidfd = os.pidfd_open(message["pid"])
                self._handlers[jvm.pidfd] = self._lose_jvm
            except ProcessLookupError:
                self._end_jvm()
        else:
            jvm.state = "idle"
        self._grant()

    def _take_back_jvm(self, client: socket.socket) -> None:
        jvm = self._jvm
        if jvm is not None and jvm.lessee is client:
            jvm.state, jvm.lessee = "released", None
            if jvm.user not in self._processes.values():  # it has ended meanwhile
                self._clear_jvm(jvm)
        self._forget(client)

    def _clear_jvm(self, jvm: Jvm) -> None:
        """Put the JVM in order after a stage's process."""
        jvm.state, jvm.user = "clearing", None
        with suppress(OSError):
            messages.send(jvm.holder, {"do": "clear"})

    def _lose_jvm(self) -> None:
        """The JVM has ended: who waits for it gets another."""
        self._end_jvm()
        self._grant()

    def _end_jvm(self) -> None:
        if self._jvm is None:
            return
        jvm, self._jvm = self._jvm, None
        self._handlers.pop(jvm.holder.fileno())
        jvm.holder.close()
        if jvm.pidfd >= 0:
            self._handlers.pop(jvm.pidfd)
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(jvm.pidfd, signal.SIGTERM)
            self._ending.append((time.monotonic() + _JVM_ENDS_WITHIN_S, jvm.pidfd))
        if jvm.lessee is not None:
            self._forget(jvm.lessee)

    def _end_in_time(self) -> None:
        """Kill the JVMs that have had time enough to end by themselves."""
        for until_s, pidfd in list(self._ending):
            if time.monotonic() > until_s:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            elif not select.select([pidfd], [], [], 0)[0]:
                continue
            self._ending.remove((until_s, pidfd))
            os.close(pidfd)

    def _end_spark(self) -> None:
        """No later stage of the run needs Spark: what it has takes memory that others need."""
        if self._waiting or (self._jvm is not None and self._jvm.user in self._processes.values()):
            return
        self._end_jvm()
        if SPARK in self._parents and not any(process.parent == SPARK for process in self._processes.values()):
            self._lose_parent(SPARK)

    def end(self) -> None:
        """End all that the server has started."""
        self._accept_no_more()
        self._end_jvm()
        for _, process in self._parents.values():
            process.kill()
        while self._ending:
            select.select([pidfd for _, pidfd in self._ending], [], [], 0.05)
            self._end_in_time()
        for pid in processes.descendants():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _as_child_of(pid: int) -> Callable[[], None]:
    return lambda: processes.die_with_parent(pid)


def main() -> None:
    """Serve the listening socket and the anchor, whose descriptors the arguments name.

    The other arguments are the socket's path and the idle time, seconds.
    """
    listener, anchor, path, idle_s = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4])
    os.chdir(path.parents[2])  # the run's folder
    processes.adopt_orphans()
    server = Server(socket.socket(fileno=listener), path, anchor, idle_s)
    try:
        server.serve()
    finally:
        server.end()


if __name__ == "__main__":
    main()
