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
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.runtime import processes
from pipeline.runtime.warm import messages
from pipeline.runtime.warm.jvm_lease import JvmLease

_SETTINGS = "RATCHET_SERVER__"
PLAIN, SPARK = "plain", "spark"  # the parents: that of Spark ends with the JVM
_PARENT = Path(__file__).with_name("parent.py")
PARENT = "/runtime/warm/parent.py"  # the end of its path


def common(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what all stages of a run have in their environment: not what names this stage, its files and settings.

    The settings of the server are among it: a stage for which it is switched off is not one of its run.
    """
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_SETTINGS) or not (name.startswith("RATCHET_") or name in ("DVC_STAGE", "DVC_ROOT"))
    }


@dataclass(eq=False)
class Process:
    """The process of a stage: who asked for it, which parent forks it, and whether it may have the run's JVM."""

    client: socket.socket
    parent: str
    shares_jvm: bool
    is_last_of_spark: bool
    pid: int | None = None


class Server:
    """Starts parents and a JVM when they are asked for, and passes on how the processes of stages end."""

    def __init__(self, listener: socket.socket, path: Path, anchor: int, idle_s: float) -> None:
        self._path, self._anchor, self._idle_s = path, anchor, idle_s
        self._own_inode = path.stat().st_ino
        self._listener: socket.socket | None = listener
        self._handlers: dict[int, Callable[[], None]] = {listener.fileno(): self._accept}
        self._clients: set[socket.socket] = set()
        self._parents: dict[str, tuple[socket.socket, subprocess.Popen[bytes]]] = {}
        self._processes: dict[int, Process] = {}
        self._number = 0
        self._is_over = False
        self._plan: dict[str, Any] = {}
        self._jvm = JvmLease(
            self._handlers, self._hold, self._answer, self._forget, lambda process: process in self._processes.values()
        )

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
            self._jvm.end_in_time()
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
                    self._jvm.take_back(client)
                    self._forget(client)
                case "make ready":
                    self._plan = message["plan"]
                    self._make_ready(message["stages"])
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
        if planned["libraries"] or (planned["optional"] and planned["parent"] in self._parents):
            self._run(client, {**message, **planned}, files)
        else:
            self._answer(client, {"itself": True})
        self._make_ready(planned["ahead"])

    def _make_ready(self, stages: Sequence[str]) -> None:
        """Make ready what these stages need: the JVM, and the libraries that they may need."""
        for planned in map(self._plan.__getitem__, stages):
            if planned["jvm"]:
                self._jvm.start(planned["jvm"])
            self._ready_parent(planned["parent"], [*planned["libraries"], *planned["optional"]])

    def _run(self, client: socket.socket, message: dict[str, Any], files: list[int]) -> None:
        self._number += 1
        parent = self._ready_parent(message["parent"], message["libraries"])
        self._processes[self._number] = Process(
            client, message["parent"], bool(message.get("jvm")), message.get("is_last_of_spark", False)
        )
        needed = ("libraries", "module", "arguments", "folder", "environment")
        order = {key: message[key] for key in needed}
        try:
            messages.send(parent, {**order, "do": "run", "number": self._number}, files)
        except messages.TooLong as error:
            self._answer(self._processes.pop(self._number).client, {"no": str(error)})
        except OSError:
            return  # it has ended, which it is seen to have

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
        self._jvm.drop(client)
        client.close()
        if any(process.client is client for process in self._processes.values()):
            self._accept_no_more()

    def _accept_no_more(self) -> None:
        if self._listener is not None:
            with suppress(FileNotFoundError):
                if self._path.stat().st_ino == self._own_inode:  # somebody may have removed it: then it is another's
                    self._path.unlink()  # first: once nobody listens, the name may be another server's
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
        self._jvm.note_end(process)

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
            self._jvm.end()

    def _log(self) -> str:
        return str(Path("/proc/self/fd/2").readlink())

    # The JVM

    def _lease(self, client: socket.socket, pid: int, wanted: Mapping[str, Any]) -> None:
        process = next((each for each in self._processes.values() if each.pid == pid and each.shares_jvm), None)
        if process is None:
            self._answer(client, {"no": "the stage does not share it"})
        else:
            self._jvm.lease(client, process, wanted)

    def _hold(self, order: Mapping[str, Any], link: int) -> None:
        """Have a holder of a JVM forked; `link` is its end of a link to the lease."""
        self._number += 1
        whole = {**order, "do": "hold", "number": self._number, "libraries": []}
        with suppress(OSError):  # it has ended, which it is seen to have
            messages.send(self._ready_parent(SPARK, ["pyspark.sql"]), whole, [link])

    def _end_spark(self) -> None:
        """No later stage of the run needs Spark: what it has takes memory that others need."""
        if self._jvm.is_needed:
            return
        self._jvm.end()
        if SPARK in self._parents and not any(process.parent == SPARK for process in self._processes.values()):
            self._lose_parent(SPARK)

    def end(self) -> None:
        """End all that the server has started."""
        self._accept_no_more()
        self._jvm.end()
        for _, process in self._parents.values():
            process.kill()
        while self._jvm.end_in_time():
            time.sleep(0.02)
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
