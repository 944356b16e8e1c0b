"""Starts, stops and asks after this checkout's Airflow. Called by scripts/airflow.sh, which says how.

`start` hands over to a process that leads a session of its own, records itself and becomes `airflow standalone`: at no
moment does something run that is not recorded. Then it waits until Airflow answers and has read every DAG file.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import airflow_pages
import airflow_processes
import airflow_settings
from airflow_patience import STALL_S, WORK_S, Patience
from airflow_processes import MARK, Started
from airflow_readiness import ImportFailed, Readiness
from airflow_settings import HOME, PAGES, PAGES_WANTED, PARSE_LOGS, PASSWORDS, RECORD, ROOT, USER, settings

LOG = HOME / "standalone.log"
VENV = Path(os.environ.get("RATCHET_AIRFLOW_VENV", ROOT / ".venv-airflow"))

PORT = 8080
GRACE_S = 15.0
_LOOK_S = 0.2
_STILL_S = 15.0

USAGE, BUG, INPUT_OUTPUT = 2, 70, 74

_asked_to_leave: list[int] = []  # by which signals


class Refused(Exception):
    """One line for the user, and the exit code."""

    def __init__(self, code: int, line: str) -> None:
        super().__init__(line)
        self.code = code


def main() -> int:
    """Do what was asked."""
    parser = argparse.ArgumentParser(prog="scripts/airflow.sh", add_help=False)
    parser.add_argument("verb", choices=["start", "stop", "status", "env", "become"])
    parser.add_argument("--port", type=int, default=None)
    parser.add_argument("--pages", action="store_true")
    parser.add_argument("--stall-s", type=float, default=STALL_S)
    parser.add_argument("--work-s", type=float, default=WORK_S)
    parser.add_argument("--grace-s", type=float, default=GRACE_S)
    parser.add_argument("--log-ports", type=int, nargs=2, default=(0, 0), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.port is not None and not 0 < asked.port < 1 << 16:
        parser.error(f"--port {asked.port}: a port is a number from 1 to 65535")
    try:
        match asked.verb:
            case "start":
                start(asked.port, lambda: Patience(asked.stall_s, asked.work_s), asked.grace_s, with_pages=asked.pages)
            case "stop":
                stop(asked.grace_s)
            case "status":
                return status()
            case "env":
                print_environment(asked.port)
            case "become":
                become(asked.port, tuple(asked.log_ports))
    except Refused as refused:
        print(f"ratchet: {refused}", file=sys.stderr)
        return refused.code
    return 0


def start(port: int | None, patience: Callable[[], Patience], grace_s: float, *, with_pages: bool) -> None:
    """Start Airflow, or join a start that is under way, and return when it is ready, and the pages beside it if asked.

    One that has lost a part is ended and started anew. A failed start leaves nothing running and raises `Refused`;
    pages that cannot be served do not end Airflow.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    with _turn():
        started, child = Started.read(RECORD), None
        is_alive = started is not None and started.is_alive
        ended_parts = airflow_processes.ended_parts(started) if started and is_alive else []
        is_new = not is_alive or bool(ended_parts)
        if started and not is_new:
            if port not in (None, started.port):
                say(f"Airflow runs on port {started.port} already, not on {port}")
        else:
            if started and ended_parts:
                say(f"Airflow at {started.address} has lost its {' and its '.join(ended_parts)}: it is started anew")
                port, with_pages = port or started.port, with_pages or PAGES_WANTED.exists()
            ended = _end(started, grace_s)
            if ended and not is_alive:
                say(f"something was left of an Airflow that was killed: {ended}")
            try:
                started, child = _spawn(port or PORT)
            except BaseException:
                _end(Started.read(RECORD), grace_s)
                raise
    try:
        _wait_until_ready(started, patience())
    except BaseException as error:
        # Whoever joined and lost patience with Ctrl-C does not end what another one is starting.
        if is_new or isinstance(error, Refused):
            with _turn():
                _end(started, grace_s)
        raise
    del child  # not before: Python would lose a signal that arrives while the process's object is taken apart
    is_so = "is ready" if is_new else "is running already"
    if with_pages:
        _serve_pages(started, patience())
    say(f"Airflow {is_so}: {started.address}")
    say(f"log in as {USER}; the password stands in the file {PASSWORDS.relative_to(ROOT)}, which only you can read")


def stop(grace_s: float) -> None:
    """End every process of it, by force what is left after `grace_s`. Raises `Refused` if one cannot be killed."""
    if not HOME.exists():
        say("Airflow is not running")
        return
    with _turn():
        ended = _end(Started.read(RECORD), grace_s)
    say(f"Airflow has ended: {ended}" if ended else "Airflow is not running")


def status() -> int:
    """Say whether it runs and how its parts are."""
    started = Started.read(RECORD)
    if not (started and started.is_alive):
        left = airflow_processes.find(ROOT, started)
        say(f"Airflow is not running{f', but {len(left)} processes of it are: stop ends them' if left else ''}")
        return 1
    ended_parts = airflow_processes.ended_parts(started)
    lacks = f"it has lost its {' and its '.join(ended_parts)}: start repairs it" if ended_parts else None
    lacks = lacks or Readiness(started).lacks_health()
    say(f"Airflow at {started.address}: {lacks or 'healthy'} (pid {started.pid}, log {LOG.relative_to(ROOT)})")
    pages_lack = None
    if PAGES_WANTED.exists():
        is_served = airflow_pages.leader() is not None
        pages_lack = airflow_pages.lacks() if is_served else "they have ended: start --pages repairs them"
        where = airflow_pages.in_words() if is_served else "MLflow, TensorBoard"
        say(f"pages beside it: {where}: {pages_lack or 'healthy'}")
    return 1 if lacks or pages_lack else 0


def print_environment(port: int | None) -> None:
    """Print the settings for a shell: those of the Airflow that runs, else those that it would have."""
    started = Started.read(RECORD)
    if started and started.is_alive and port in (None, started.port):
        found = settings(started.port, started.log_ports)
    else:
        found = settings(port or PORT, ())
    for key, value in found.items():
        print(f"export {key}={shlex.quote(value)}")


def become(port: int, log_ports: tuple[int, ...]) -> None:
    """Record this process and turn it into `airflow standalone`. It leads its session already."""
    worker, trigger = log_ports
    ticks = airflow_processes.start_ticks(os.getpid())
    Started(os.getpid(), ticks, airflow_processes.boot(), time.time(), port, (worker, trigger)).write(RECORD)
    # It stops its parts when it is interrupted. A shell that started us in the background would have it ignore that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Not for a task: this environment, and what belongs to the make that started us.
    strange = {"VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"}
    environment = {key: value for key, value in os.environ.items() if key not in strange}
    path = [str(ROOT / "scripts" / "loopback"), str(VENV / "bin"), os.environ.get("PATH", os.defpath)]
    environment |= settings(port, log_ports)
    environment |= {"PATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}  # so that its log is not behind
    os.execve(VENV / "bin" / "airflow", ["airflow", "standalone"], environment)


def _spawn(port: int) -> tuple[Started, subprocess.Popen[bytes]]:
    """Start it and return what it recorded, and its process. Raises `Refused` if the port is taken."""
    if refusal := airflow_settings.refuse(port):
        raise Refused(USAGE, refusal)
    airflow_settings.make_secrets()
    if LOG.exists():
        LOG.replace(LOG.with_suffix(".log.1"))
    shutil.rmtree(PARSE_LOGS, ignore_errors=True)  # what is there afterwards was read since this start
    worker, trigger = airflow_settings.free_ports(2)
    command = [sys.executable, __file__, "become", "--port", str(port), "--log-ports", str(worker), str(trigger)]
    with os.fdopen(os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as log:
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, MARK: str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while child.poll() is None:
        _leave_if_asked()
        started = Started.read(RECORD)
        if started and started.pid == child.pid:
            say(f"starting Airflow at {started.address} (log: {LOG.relative_to(ROOT)})")
            return started, child
        time.sleep(0.02)
    raise Refused(BUG, f"Airflow could not be started{_end_of_log(LOG)}")


def _serve_pages(started: Started, patience: Patience) -> None:
    """Serve the pages beside an Airflow, if they are not there, and return when they answer."""
    with _turn():
        if leader := airflow_pages.leader():
            child, pid = None, leader.pid
        else:
            if not airflow_pages.VENV.is_dir():
                raise Refused(USAGE, f"the pipeline's environment {airflow_pages.VENV} is not there: run `make setup`")
            PAGES_WANTED.touch()
            child = airflow_pages.begin(started.port)
            pid = child.pid
    wait = _Wait(patience, pid, airflow_pages.LOG)
    while lacks := airflow_pages.lacks():
        if (child.poll() is not None) if child else airflow_pages.leader() is None:
            raise Refused(BUG, f"the pages of MLflow and TensorBoard have ended{_end_of_log(airflow_pages.LOG)}")
        wait.go_on(lacks, "The pages of MLflow and TensorBoard are not ready")
    say(f"pages beside it: {airflow_pages.in_words()}")


class _Wait:
    """Waits, and says for what, until it is in vain."""

    def __init__(self, patience: Patience, session: int, log: Path) -> None:
        self._patience, self._session, self._log = patience, session, log
        self._began_s = self._told_s = time.monotonic()
        self._said = ""

    def go_on(self, lacks: str, what: str) -> None:
        """Wait for a moment. Raises `Refused` if it is in vain; `what` is then what is not ready."""
        _leave_if_asked()
        now_s = time.monotonic()
        ticks = airflow_processes.ticks(ROOT, self._session)
        size = self._log.stat().st_size if self._log.exists() else 0
        if why := self._patience.lost(lacks, ticks, size, now_s):
            raise Refused(BUG, f"{what}: {lacks}, and {why}{_end_of_log(self._log)}")
        waited_s = now_s - self._began_s
        if waited_s > 1 and (lacks != self._said or now_s - self._told_s > _STILL_S):
            work = f", it is at work: {self._patience.work_s:.0f} s of processor time" if lacks == self._said else ""
            say(f"  {lacks} ({waited_s:.0f} s{work})")
            self._said, self._told_s = lacks, now_s
        time.sleep(_LOOK_S)


def _wait_until_ready(started: Started, patience: Patience) -> None:
    readiness, wait = Readiness(started), _Wait(patience, started.pid, LOG)
    while True:
        _leave_if_asked()
        is_alive = started.is_alive  # asked before the rest: one that ends meanwhile is found dead the next time
        ended_parts = airflow_processes.ended_parts(started)
        try:
            lacks = readiness.lacks()
        except ImportFailed as failed:
            # One broken config must not keep every other model from being trained.
            say(f"warning: {failed}")
            return
        if not is_alive:
            raise Refused(BUG, f"Airflow ended while it started{_end_of_log(LOG)}")
        if ended_parts:
            raise Refused(BUG, f"Airflow's {' and '.join(ended_parts)} ended while it started{_end_of_log(LOG)}")
        if not lacks:
            return
        wait.go_on(lacks, "Airflow is not ready")


def _end(started: Started | None, grace_s: float) -> str | None:
    """End every process of it and forget the record; say what was done, or nothing if there was none."""
    try:
        ended = airflow_processes.end(ROOT, started, grace_s=grace_s, say=say)
    except TimeoutError as error:
        raise Refused(BUG, f"Airflow cannot be ended: {error}") from None
    RECORD.unlink(missing_ok=True)
    PAGES.unlink(missing_ok=True)
    PAGES_WANTED.unlink(missing_ok=True)
    return ended


@contextmanager
def _turn() -> Iterator[None]:
    """Let one start or stop at a time begin or end something. The lock goes with the process, however it ends."""
    try:
        HOME.mkdir(mode=0o700, exist_ok=True)
        lock = (HOME / "lock").open("w")
    except OSError as error:
        raise Refused(INPUT_OUTPUT, f"{HOME} cannot be written: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another start or stop is at work in this checkout: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _end_of_log(log: Path, count: int = 20) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        return ""
    return "\n".join([f"; the end of {log.relative_to(ROOT)}:", *lines])


def _leave(number: int, _: object) -> None:
    _asked_to_leave.append(number)
    raise SystemExit(128 + number)


def _leave_if_asked() -> None:
    """Leave if a signal has asked for it: Python loses what is raised while it takes an object apart."""
    if _asked_to_leave:
        raise SystemExit(128 + _asked_to_leave[0])


def say(line: str) -> None:
    """Tell the user, at once."""
    print(line, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
