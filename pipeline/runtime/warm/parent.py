"""A process that has imported libraries and forks others, which find them imported. Run by its path, never imported.

It imports third-party libraries only, and has one thread of its own: what Python code does in a forked process is then
what it would do in a new one. Its only link is a socket to the server (descriptor 0): when that closes, it ends, and
what it has forked with it.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_OURS = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

if TYPE_CHECKING:
    from pipeline.runtime import tensorflow_import
    from pipeline.runtime.warm import jvm, messages
else:
    # Libraries must not find modules of the project: a stage imports those itself.
    inherited = {os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path}  # noqa: PTH100
    sys.path[:] = [path for path in sys.path if path not in inherited]
    sys.path[:0] = _OURS
    import jvm
    import messages
    import tensorflow_import

    del sys.path[: len(_OURS)]
    for name in ("jvm", "messages", "tensorflow_import"):  # a stage may have modules of these names
        del sys.modules[name]


class Parent:
    """Does what the server says: import, fork a stage's process, fork the holder of the JVM."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self._children: dict[int, tuple[int, int]] = {}  # pidfd → process id, and the server's number for it
        self._missing = set[str]()  # libraries that cannot be imported

    def serve(self) -> None:
        """Serve until the server goes."""
        while True:
            ready, _, _ = select.select([self._server.fileno(), *self._children], [], [])
            for descriptor in self._children.keys() & ready:
                self._reap(descriptor)
            if self._server.fileno() in ready:
                received = messages.receive(self._server)
                if received is None:
                    return
                self._obey(*received)

    def _obey(self, message: Mapping[str, Any], files: list[int]) -> None:
        if message["do"] == "import":
            for name in message["libraries"]:
                self._import(name)
            return
        try:
            if missing := self._missing.intersection(message["libraries"]):
                messages.send(self._server, {"refused": message["number"], "missing": sorted(missing)})
            elif message["do"] == "hold":
                self._fork(message["number"], lambda: _hold(socket.socket(fileno=files[0]), message))
            else:
                self._fork(message["number"], lambda: _become(message, files))
        finally:
            for descriptor in files:
                os.close(descriptor)

    def _import(self, name: str) -> None:
        if name in sys.modules or name in self._missing:
            return
        try:
            if name == "tensorflow":
                tensorflow_import.import_tensorflow()
            else:
                importlib.import_module(name)
        except (Exception, SystemExit):  # noqa: BLE001 - whatever it is: others of this parent work on
            traceback.print_exc()
            self._missing.add(name)

    def _fork(self, number: int, work: Callable[[], None]) -> None:
        own = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        gc.freeze()  # the child's collector has no need to look through what is imported here, nor to copy its pages
        pid = os.fork()
        if pid == 0:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != own:
                os._exit(1)
            os.setsid()
            for descriptor in [self._server.detach(), *self._children]:
                os.close(descriptor)
            _end_with(work)
        descriptor = os.pidfd_open(pid)
        self._children[descriptor] = pid, number
        messages.send(self._server, {"began": number, "pid": pid})

    def _reap(self, descriptor: int) -> None:
        pid, number = self._children.pop(descriptor)
        os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        messages.send(self._server, {"ended": number, "code": os.waitstatus_to_exitcode(status)})


def _become(message: Mapping[str, Any], files: list[int]) -> None:
    """Become a new `python -m MODULE`, but for what is imported: its outputs, environment, folder and arguments."""
    lifeline, output, errors = files
    for descriptor, target in ((output, 1), (errors, 2)):
        os.dup2(descriptor, target)
        os.close(descriptor)
    files.clear()
    threading.Thread(target=_die_with, args=(lifeline,), daemon=True).start()
    os.environ.clear()
    os.environ.update(message["environment"])
    if "tensorflow" in sys.modules:
        tensorflow_import.hide_gpus()  # as it was imported
    os.chdir(message["folder"])
    sys.path[:0] = [message["folder"], *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = [message["module"], *message["arguments"]]
    runpy.run_module(message["module"], run_name="__main__", alter_sys=True)


def _hold(server: socket.socket, message: Mapping[str, Any]) -> None:
    """Start a JVM, say how to reach it, and put it in order whenever the server says so, until the server goes."""
    os.environ.update(message["variables"])
    try:
        gateway, context = jvm.start_jvm(message["conf"], message["login"])
        held = jvm.Jvm(gateway, context)
    except Exception as error:  # noqa: BLE001 - whatever it is: the stage then starts a JVM itself, and says it
        messages.send(server, {"failed": " ".join(str(error).split())[:500]})
        return
    client = gateway.gateway_parameters
    messages.send(server, {"port": client.port, "secret": client.auth_token, "pid": gateway.proc.pid})
    while messages.receive(server) is not None:
        messages.send(server, {"left": held.put_in_order()})


def _die_with(lifeline: int) -> None:
    """End this process when the one that asked for it ends, or lets go of it."""
    select.select([lifeline], [], [])
    os.kill(os.getpid(), signal.SIGKILL)


def _end_with(work: Callable[[], None]) -> NoReturn:
    """Do the work of a forked process, and end it: never return into the parent's code."""
    code = 1
    try:
        work()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        if error.code is not None and not isinstance(error.code, int):
            print(error.code, file=sys.stderr)  # noqa: T201 - as the interpreter does
    except BaseException:  # noqa: BLE001 - what the interpreter does with it
        traceback.print_exc()
    with suppress(BaseException):
        atexit._run_exitfuncs()  # noqa: SLF001 - what the interpreter itself calls; its finalization is left out
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def main() -> None:
    """Serve the server at the other end of descriptor 0."""
    server = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    Parent(server).serve()


if __name__ == "__main__":
    main()
