"""What a stage says to the server of its run. Where there is no server to be had, the stage works without.

The server's socket is in the run's folder, in one of the user's alone, and named after its anchor, so that two runs
never meet there. Both sides ask the kernel which user is at the other end.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import stat
import struct
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from pipeline.errors import TryAgain
from pipeline.runtime import processes
from pipeline.runtime.progress import Progress
from pipeline.runtime.warm import messages
from pipeline.runtime.warm.server import PARENT, PLAIN, common

LOG_NAME = "warm.log"
_ID = r"[1-9]\d{0,9}"  # of a process
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_BOOT_LENGTH = 8
_ENDS_WITHIN_S = 30.0  # it ends its JVM and kills the rest: a few seconds
_QUIET_S = 2.0
FOLDER = Path(".ratchet") / "warm"
SERVER_VARIABLE = "RATCHET_WARM"  # in what a server has forked: the path of its socket
ANCHOR_VARIABLE = "RATCHET_ANCHOR"  # the id of the process with which the server of a run in steps ends


class NoServer(Exception):
    """There is no server to be had, or it does not do what is asked; nothing has begun."""


def is_forked() -> bool:
    """Return whether a server has forked this process: the variable alone says nothing, anybody can set it."""
    return SERVER_VARIABLE in os.environ and sys.orig_argv[-1].endswith(PARENT)


def socket_path(root: Path, driver: int, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the path of a run's socket. `driver`: DVC's process, the anchor unless the environment names another."""
    named = environment.get(ANCHOR_VARIABLE) or str(driver)
    if not re.fullmatch(_ID, named, re.ASCII):
        raise NoServer(
            f"{ANCHOR_VARIABLE} is {named!r:.40}, no process's id; `export {ANCHOR_VARIABLE}=$$`, or unset it"
        )
    anchor = int(named)
    try:
        started = processes.started_ticks(anchor)
    except OSError as error:
        raise NoServer(f"the process {anchor}, with which the server would end, is gone") from error
    namespace = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - a container has other ids
    return root / FOLDER / f"{machine()}-{namespace}-{anchor}-{started}"


def machine() -> str:
    """Return what tells this machine, since its start, from others that see the same folder."""
    return _BOOT.read_text()[:_BOOT_LENGTH]


def connect(path: Path) -> socket.socket:
    """Return a connection to a server that is there already. Raises NoServer."""
    with _folder(path.parent) as folder:
        return _connected(folder, path.name)


def connect_or_start(
    path: Path, log: Path, idle_s: float, environment: Mapping[str, str] = os.environ
) -> socket.socket:
    """Return a connection to the server at `path`, started if it is not there; what it says goes to `log`.

    `environment` is that of the run's stages. Raises NoServer.
    """
    with _folder(path.parent) as folder:
        with suppress(NoServer):
            return _connected(folder, path.name)
        fcntl.flock(folder, fcntl.LOCK_EX)  # until the folder is closed
        with suppress(NoServer):
            return _connected(folder, path.name)
        try:
            _start(folder, path, log, idle_s, environment)
        except OSError as error:
            raise NoServer(f"{path}: {error.strerror or error}") from error
        return _connected(folder, path.name)


class Forked:
    """A process that the server forks. It ends with this one, and when the block that uses it ends.

    It has this process's folder and environment, and the outputs given. Raises NoServer if it cannot be asked for.
    """

    def __init__(
        self, path: Path, connection: socket.socket, request: Mapping[str, Any], outputs: tuple[int, int] = (1, 2)
    ) -> None:
        self._connection = connection
        self._has_begun = False
        lifeline, self._held = os.pipe()
        whole = {**request, "folder": str(Path.cwd()), "environment": {**os.environ, SERVER_VARIABLE: str(path)}}
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        try:
            messages.send(connection, whole, [lifeline, *outputs])
        except OSError as error:
            os.close(self._held)
            connection.close()
            raise NoServer(str(error)) from error
        finally:
            os.close(lifeline)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._held)
        self._connection.close()

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for its end; return its exit code, or the negative number of the signal that has ended it.

        Returns None if this process is to do the work itself. Raises TimeoutError, NoServer if it has not begun, or
        TryAgain if what it hangs on was killed.
        """
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            self._connection.settimeout(None if until_s is None else max(until_s - time.monotonic(), 0.001))
            received = messages.receive(self._connection)
            if received is None and self._has_begun:
                raise TryAgain("its process has ended with the server of the run; run again")
            if received is None:
                raise NoServer("the server of the run has ended")
            answer, _ = received
            if "began" not in answer:
                break
            self._has_begun = True
        if "no" in answer:
            raise NoServer(answer["no"])
        code: int | None = answer.get("code")
        return code


def run_stage(path: Path, connection: socket.socket, name: str, plan: Mapping[str, Any] | None = None) -> int | None:
    """Have a stage run, and report its progress until its process is there.

    Returns its exit code, or None if this process is to run it itself. `plan` has what the server must know of each
    stage (see `planning`), unless it knows. Raises NoServer, or TryAgain, which is reported, if the stage's process was
    killed.
    """
    progress = Progress(name)
    progress.begin()
    progress.await_process()
    request = {"do": "stage", "name": name, "plan": plan, "module": "pipeline", "arguments": ["stage", name]}
    try:
        with Forked(path, connection, request) as process:
            code = process.wait()
        if code is not None and code < 0:
            raise TryAgain(f"its process was ended by signal {-code}; run again")
    except TryAgain as error:
        progress.fail(str(error), error.exit_code)
        raise
    return code


def make_ready(connection: socket.socket, plan: Mapping[str, Any], stages: Sequence[str]) -> None:
    """Have made ready what these stages need, while this process does other work."""
    with connection, suppress(OSError):
        messages.send(connection, {"do": "make ready", "plan": plan, "stages": stages})


def forked(module: str, arguments: Sequence[str], libraries: Sequence[str], output: int) -> Forked:
    """Ask the server that has forked this process for `python -m module arguments`, with `libraries` imported.

    Both its outputs go to `output`. Raises NoServer.
    """
    path = Path(os.environ[SERVER_VARIABLE])
    request = {"do": "run", "parent": PLAIN, "module": module, "arguments": arguments, "libraries": libraries}
    return Forked(path, connect(path), request, (output, output))


def end_all(root: Path, limit_s: float = _ENDS_WITHIN_S) -> None:
    """End the servers of a run that is over. Raises TryAgain if one has not ended within the limit: it is stopped."""
    folder = root / FOLDER
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        with suppress(NoServer, OSError), connect(path) as connection:
            messages.send(connection, {"do": "end"})
            _await_end(connection, path, limit_s)


def _await_end(connection: socket.socket, path: Path, limit_s: float) -> None:
    quiet_s = min(_QUIET_S, limit_s)
    if _has_ended(connection, quiet_s):
        return
    number = _server_of(path)
    named = f"the server of the run ({'no process of this container' if number is None else f'process {number}'})"
    print(f"waiting for {named} to end, {limit_s:g} s at most", file=sys.stderr, flush=True)  # noqa: T201
    if not _has_ended(connection, limit_s - quiet_s):
        process = "ID" if number is None else number
        raise TryAgain(
            f"{named} has not ended within {limit_s:g} s: it is stopped, or hangs; "
            f"`kill -CONT {process}` lets it go on, `kill -KILL {process}` "
            "ends it and all it has started; then close the run again"
        )


def _has_ended(connection: socket.socket, within_s: float) -> bool:
    connection.settimeout(max(within_s, 0.001))
    try:
        messages.receive(connection)  # which comes when it ends
    except TimeoutError:
        return False
    return True


def _server_of(path: Path) -> int | None:
    """Return the id of the process that serves a socket; None if this container sees none. The kernel would name who
    has begun to listen, which is the client that has started it.
    """
    word = f"/{path.name}"
    ids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return next((pid for pid in ids if processes.is_running(pid, word)), None)


@contextmanager
def leased_jvm(wanted: Mapping[str, Any]) -> Iterator[dict[str, Any] | None]:
    """Lease the run's JVM for the block: yield its `port`, `secret` and `pid`, or None if a JVM of one's own is needed.

    `wanted` has the `conf` of Spark, the `variables` of the JVM's environment, and a `login` (see `jvm.start_jvm`). A
    block that fails does not give it back: then it ends.
    """
    if not is_forked():
        yield None
        return
    try:
        connection = connect(Path(os.environ[SERVER_VARIABLE]))
        messages.send(connection, {**wanted, "do": "jvm"})
        received = messages.receive(connection)
    except (NoServer, OSError) as error:
        _say(str(error))
        yield None
        return
    answer = received[0] if received else {"no": "the server has gone"}
    with connection:
        if "no" in answer:
            _say(answer["no"])
            yield None
        else:
            yield answer
            with suppress(OSError):
                messages.send(connection, {"do": "release"})


def _say(why: str) -> None:
    print(f"Spark gets a JVM of its own: {why}", file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    """Open the folder of a run's sockets, made if it is not there. Raises NoServer if it is not this user's alone."""
    try:
        path.parent.mkdir(exist_ok=True)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise NoServer(f"{path}: {error.strerror}; remove it") from error
    try:
        found = os.fstat(folder)
        if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise NoServer(f"{path}: not a folder of this user's alone; remove it")
        yield folder
    finally:
        os.close(folder)


@contextmanager
def _opened(log: Path) -> Iterator[int]:
    """Open the file of what a server says. Raises NoServer if it is none."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        # Without waiting for a reader: somebody may have put a pipe there.
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise NoServer(f"{log}: {error.strerror}; remove it") from error
    try:
        if not stat.S_ISREG(os.fstat(output).st_mode):
            raise NoServer(f"{log}: no regular file; remove it")
        os.set_blocking(output, True)
        yield output
    finally:
        os.close(output)


def _address(folder: int, name: str) -> str:
    return f"/proc/self/fd/{folder}/{name}"  # a socket's path may have 107 bytes, however deep the folder is


def _connected(folder: int, name: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(_address(folder, name))
        _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if user != os.getuid():
            raise NoServer(f"{name}: another user's server")
    except OSError as error:
        connection.close()
        raise NoServer(f"{name}: {error.strerror}") from error
    except NoServer:
        connection.close()
        raise
    return connection


def _start(folder: int, path: Path, log: Path, idle_s: float, environment: Mapping[str, str]) -> None:
    """Start a server that outlives this process. What others of this machine have left behind is removed."""
    for name in os.listdir(folder):
        try:
            _connected(folder, name).close()
        except NoServer:
            if name.startswith(f"{machine()}-"):
                with suppress(IsADirectoryError):
                    os.unlink(name, dir_fd=folder)
    anchor = os.pidfd_open(int(path.name.split("-")[2]))
    with _opened(log) as output, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        try:
            listener.bind(_address(folder, path.name))
            listener.listen()
            for descriptor in (listener.fileno(), anchor):
                os.set_inheritable(descriptor, True)
            os.posix_spawn(
                sys.executable,
                [
                    sys.executable, "-m", "pipeline.runtime.warm.server",
                    str(listener.fileno()), str(anchor), str(path), str(idle_s),
                ],
                common(environment),
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, output, 1),
                    (os.POSIX_SPAWN_DUP2, output, 2),
                ],
                setsid=True,
            )  # fmt: skip
        finally:
            os.close(anchor)
