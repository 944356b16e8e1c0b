"""A real Airflow for a test project: started and stopped as a person does it, asked through its REST API."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from tests.system.project import ROOT, Project

OVER = ("success", "failed")
_START_S, _ASK_S = 240.0, 30.0


class Airflow:
    """One Airflow: the DAGs of one project."""

    def __init__(self, project: Project) -> None:
        self.project = project
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
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

    def start(self) -> None:
        """Run `scripts/airflow.sh start`."""
        done = self._script("start", "--port", str(self.port))
        assert done.returncode == 0, done.stdout + done.stderr
        passwords = json.loads((self.project.root / ".airflow" / PASSWORDS).read_text())
        login = {"username": "admin", "password": passwords["admin"]}
        self._token = self.call("POST", "/auth/token", login)["access_token"]

    def stop(self) -> None:
        """Run `scripts/airflow.sh stop`."""
        done = self._script("stop")
        assert done.returncode == 0, done.stdout + done.stderr

    def _script(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.project.root / "scripts" / "airflow.sh"), *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_START_S,
            check=False,
        )

    def ask(self, method: str, path: str, body: Any = None, *, token: bool = True) -> tuple[int, str]:
        """Send one request; return status and text."""
        headers = {"Content-Type": "application/json"}
        if token and self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, method=method, data=content, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=_ASK_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request that must succeed; return its JSON."""
        status, text = self.ask(method, path, body)
        assert status < 300, f"{method} {path}: {status} {text[:2000]}"
        return json.loads(text) if text else None

    def switch_on(self, dag: str) -> None:
        """Unpause a DAG, once Airflow has seen it."""
        wait_for(lambda: self.ask("GET", f"/api/v2/dags/{dag}")[0] == 200, 60, f"DAG {dag}")
        self.call("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False})

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

    def ended(self, dag: str, run_id: str, timeout_s: float = 400) -> dict[str, Any]:
        """Wait until a run is over; return it."""
        wait_for(
            lambda: self.run(dag, run_id)["state"] in OVER, timeout_s, f"{dag} {run_id}", lambda: self.told(dag, run_id)
        )
        return self.run(dag, run_id)

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


PASSWORDS = "simple_auth_manager_passwords.json.generated"


def wait_for(
    is_so: Callable[[], Any], timeout_s: float, what: str, explain: Callable[[], str] = lambda: "", look_s: float = 0.5
) -> Any:
    """Wait until something is so; fail with an explanation if it does not come."""
    give_up_s = time.monotonic() + timeout_s
    while not (found := is_so()):
        assert time.monotonic() < give_up_s, f"{what}: not within {timeout_s:.0f} s\n{explain()}"
        time.sleep(look_s)
    return found


@contextmanager
def running(project: Project) -> Iterator[Airflow]:
    """Give a running Airflow; end it, and everything it has started, however the block ends."""
    airflow = Airflow(project)
    try:
        airflow.start()
        yield airflow
    finally:
        airflow.stop()
