"""A real Airflow for a test project: started and stopped as a person does it, asked through its REST API."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import psutil

from tests.system.project import ROOT, Project
from tests.waiting import STALL_S, size_of, wait_for, work_of

OVER = ("success", "failed")
PASSWORDS = "simple_auth_manager_passwords.json.generated"
_LOOK_S = 0.5
_ANSWER_S = 2 * STALL_S  # SQLite alone lets a request wait for its turn for 300 s (scripts/airflow_settings.py)
T = TypeVar("T")
_PORTS = range(20_000, 32_000)  # below those that Linux gives to connections: /proc/sys/net/ipv4/ip_local_port_range
_BUSY = 503  # what Airflow answers on SQLite while its scheduler writes


def _free_port() -> int:
    """Return a port of loopback on which nobody listens, of those that no connection is given.

    A start takes a minute, and is begun anew at the same port: until then another program's connection could have it.
    """
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:  # taken
                continue
        return port
    raise AssertionError("every port is taken")


class Airflow:
    """One Airflow: the DAGs of one project."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.port = _free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self._token = ""

    @property
    def environment(self) -> dict[str, str]:
        """The environments of this checkout serve the project too: installing them again would show nothing."""
        return {
            **os.environ,
            "RATCHET_AIRFLOW_VENV": os.environ.get("RATCHET_AIRFLOW_VENV", str(ROOT / ".venv-airflow")),
            "RATCHET_VENV": sys.prefix,
        }

    @property
    def home(self) -> Path:
        """Where it keeps its database, its logs and its password."""
        return self.project.root / ".airflow"

    @property
    def password(self) -> str:
        """The password of the one user."""
        return str(json.loads((self.home / PASSWORDS).read_text())["admin"])

    @property
    def pid(self) -> int:
        """The process that leads the session."""
        return int(json.loads((self.home / "standalone.json").read_text())["pid"])

    def start(self) -> str:
        """Run `scripts/airflow.sh start`, which may take as long as something moves; return what it says."""
        done = self.script("start", "--port", str(self.port), "--stall-s", str(STALL_S))
        assert done.returncode == 0, done.stdout + done.stderr
        login = {"username": "admin", "password": self.password}
        self._token = self.call("POST", "/auth/token", login)["access_token"]
        return done.stdout

    def stop(self) -> str:
        """Run `scripts/airflow.sh stop`; return what it says."""
        done = self.script("stop")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def script(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `scripts/airflow.sh` to its end, whatever its end."""
        command = [str(self.project.root / "scripts" / "airflow.sh"), *words]
        with subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                wait_for(
                    lambda: process.poll() is not None,
                    " ".join(words),
                    progress=lambda: size_of(self.home),
                    explain=(self.home / "standalone.log").read_text,
                )
            finally:
                process.terminate()  # a start ends what it has begun
                out, err = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def ask(self, method: str, path: str, body: Any = None, *, token: bool = True) -> tuple[int, str]:
        """Send one request; return status and text."""
        headers = {"Content-Type": "application/json"}
        if token and self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, method=method, data=content, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request that must succeed; return its JSON. A question is asked again while Airflow is busy."""

        def answer() -> tuple[int, str] | None:
            status, text = self.ask(method, path, body)
            return None if status == _BUSY and method == "GET" else (status, text)

        status, text = wait_for(answer, f"{method} {path}", look_s=_LOOK_S)
        assert status < 300, f"{method} {path}: {status} {text[:2000]}"
        return json.loads(text) if text else None

    def switch_on(self, dag: str) -> None:
        """Unpause a DAG, once Airflow has seen it."""
        wait_for(lambda: self.ask("GET", f"/api/v2/dags/{dag}")[0] == 200, f"DAG {dag}", look_s=_LOOK_S)
        self.call("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False})

    def switch_off(self, dag: str) -> None:
        """Pause a DAG: nothing of it is begun any more."""
        self.call("PATCH", f"/api/v2/dags/{dag}", {"is_paused": True})

    def trigger(self, dag: str, **conf: Any) -> str:
        """Trigger a run with a `conf` and return its id."""
        body = {"conf": {key.replace("__", "."): value for key, value in conf.items()}, "logical_date": None}
        return str(self.call("POST", f"/api/v2/dags/{dag}/dagRuns", body)["dag_run_id"])

    def run(self, dag: str, run_id: str) -> dict[str, Any]:
        """Return a DAG run as it is now."""
        found: dict[str, Any] = self.call("GET", f"/api/v2/dags/{dag}/dagRuns/{quote(run_id)}")
        return found

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """Return all runs of a DAG."""
        return list(self.call("GET", f"/api/v2/dags/{dag}/dagRuns")["dag_runs"])

    def ended(self, dag: str, run_id: str) -> dict[str, Any]:
        """Wait until a run is over; return it."""
        self.wait(dag, run_id, lambda: self.run(dag, run_id)["state"] in OVER, "its end")
        return self.run(dag, run_id)

    def wait(self, dag: str, run_id: str, ask: Callable[[], T | None], what: str) -> T:
        """Wait for something in a run while the run moves: its tasks' states, their logs, the work of its processes."""
        logs = self.home / "logs" / f"dag_id={dag}" / f"run_id={run_id}"
        return wait_for(
            ask,
            f"{dag} {run_id}: {what}",
            progress=lambda: (self.states(dag, run_id), size_of(logs), work_of(self.processes())),
            explain=lambda: self.told(dag, run_id),
            look_s=_LOOK_S,
        )

    def tasks(self, dag: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Return a run's task instances by name."""
        path = f"/api/v2/dags/{dag}/dagRuns/{quote(run_id)}/taskInstances"
        return {task["task_id"]: task for task in self.call("GET", path)["task_instances"]}

    def states(self, dag: str, run_id: str) -> dict[str, str]:
        """Return the state of each task."""
        return {name: task["state"] for name, task in self.tasks(dag, run_id).items()}

    def log(self, dag: str, run_id: str, task: str, try_number: int = 1) -> list[str]:
        """Return a task's log as the UI shows it: the events."""
        path = f"/api/v2/dags/{dag}/dagRuns/{quote(run_id)}/taskInstances/{task}/logs/{try_number}?full_content=true"
        content = self.call("GET", path)["content"]
        return [line if isinstance(line, str) else str(line.get("event", "")) for line in content]

    def told(self, dag: str, run_id: str) -> str:
        """Return what a person would look at first when a run does not do what it should."""
        states = self.states(dag, run_id)
        failed = [name for name, state in states.items() if state in ("failed", "up_for_retry", "running")]
        lines = [line for name in failed for line in self.log(dag, run_id, name)[-15:]]
        return "\n".join([str(states), *lines])

    def set_state(self, dag: str, run_id: str, task: str, state: str) -> None:
        """Set a task's state by hand, as the UI's buttons do."""
        path = f"/api/v2/dags/{dag}/dagRuns/{quote(run_id)}/taskInstances/{task}"
        self.call("PATCH", path, {"new_state": state})

    def mark(self, dag: str, run_id: str, state: str) -> None:
        """Mark a whole run as failed or as a success."""
        self.call("PATCH", f"/api/v2/dags/{dag}/dagRuns/{quote(run_id)}", {"state": state})

    def clear(self, dag: str, run_id: str) -> None:
        """Clear a run's failed tasks, and what stands after them: they run again."""
        body = {"dag_run_id": run_id, "only_failed": True, "dry_run": False, "reset_dag_runs": True}
        self.call("POST", f"/api/v2/dags/{dag}/clearTaskInstances", body)

    def kept(self, dag: str, run_id: str) -> Path:
        """Return the folder in `runs/` of a DAG run."""
        listed = json.loads(self.project.ratchet("runs", "list", "--json").stdout)
        readable = run_id.replace(":", "-").replace("+", "-")
        [found] = [run for run in listed if run["folder"].startswith(f"runs/{dag}-{readable}"[:70])]
        return self.project.root / str(found["folder"])

    def processes(self) -> list[psutil.Process]:
        """Return the processes of the project's stages: JVMs, ranks, DVC, stages; not Airflow's own."""
        found = []
        for process in self.project.processes():
            try:
                command = " ".join(process.cmdline())
            except psutil.Error:
                continue
            is_ours = any(
                word in command for word in ("java", "dvc", "ratchet stage", "pipeline", "horovod", "training")
            )
            if is_ours and "airflow" not in command.split(" -")[0]:
                found.append(process)
        return found

    def wait_until_idle(self) -> None:
        """Wait until no process of any stage is left."""
        wait_for(
            lambda: not self.processes(),
            "no process of a stage is left",
            progress=lambda: {process.pid for process in self.processes()},
            explain=self.processes,
        )


@contextmanager
def running(project: Project) -> Iterator[Airflow]:
    """Give a running Airflow; end it, and everything it has started, however the block ends."""
    airflow = Airflow(project)
    try:
        airflow.start()
        yield airflow
    finally:
        airflow.stop()
