"""A real Airflow, started and stopped by scripts/airflow.sh in a copy of the project, with DAGs of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.system.project import ROOT, Project, make_project

VENV = Path(os.environ.get("RATCHET_AIRFLOW_VENV", ROOT / ".venv-airflow"))
HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_READY_S = 180.0
_TASK_S = 60.0
_AGAIN_S = 120.0  # a killed scheduler counts as gone after half a minute, and is looked for as often

DAGS = """
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, task

with DAG("imports", schedule=None):

    @task
    def read():
        import dags.part  # the project's root is on the path
        import pipeline.errors

        print("a line of the task", dags.part.WORD)

    read()

with DAG("sleeps", schedule=None):
    BashOperator(task_id="sleep", bash_command="exec sleep 98765")
"""


@dataclass(frozen=True)
class Airflow:
    """One that is started in a project, and what a client can ask of it."""

    project: Project
    port: int

    def script(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.project.call(
            "scripts/airflow.sh", *arguments, RATCHET_AIRFLOW_VENV=str(VENV), PYTHONPATH="", VIRTUAL_ENV=""
        )

    def start(self) -> subprocess.CompletedProcess[str]:
        return self.script("start", "--port", str(self.port))

    @property
    def home(self) -> Path:
        return self.project.root / ".airflow"

    @property
    def password(self) -> str:
        return str(json.loads((self.home / "simple_auth_manager_passwords.json.generated").read_text())["admin"])

    @property
    def pid(self) -> int:
        return int(json.loads((self.home / "standalone.json").read_text())["pid"])

    def ask(self, path: str, method: str = "GET", body: object = None, *, is_signed: bool = True) -> Any:
        headers = {"Content-Type": "application/json"}
        if is_signed:
            user = {"username": "admin", "password": self.password}
            token = self.ask("/auth/token", "POST", user, is_signed=False)["access_token"]
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        with HTTP.open(request, timeout=30) as answer:
            return json.loads(answer.read())

    def trigger(self, dag: str) -> str:
        """Start a run of a DAG and return where the API tells of it."""
        self.ask(f"/api/v2/dags/{dag}", "PATCH", {"is_paused": False})
        run = self.ask(f"/api/v2/dags/{dag}/dagRuns", "POST", {"logical_date": None})
        return f"/api/v2/dags/{dag}/dagRuns/{run['dag_run_id']}"

    def listeners(self) -> set[tuple[str, int]]:
        """Return the addresses that its processes listen on."""
        connections = []
        for process in self.project.processes():
            with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
                connections += process.net_connections("inet")
        return {(one.laddr.ip, one.laddr.port) for one in connections if one.status == psutil.CONN_LISTEN}

    def sleepers(self) -> list[psutil.Process]:
        """Return what the sleeping task has started, wherever it works."""
        return [one for one in psutil.process_iter() if "98765" in _command(one)]


def _command(process: psutil.Process) -> str:
    try:
        return "" if process.status() == psutil.STATUS_ZOMBIE else " ".join(process.cmdline())
    except psutil.Error:
        return ""


def wait_for(what: Callable[[], Any], timeout_s: float) -> Any:
    """Ask until the answer is true, and return it; the last answer once the time is up."""
    deadline_s = time.monotonic() + timeout_s
    while not (answer := what()) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    return answer


def make_airflow(folder: Path) -> Airflow:
    assert (VENV / "bin" / "airflow").exists(), f"{VENV} is not there: make it with scripts/setup_airflow.sh"
    project = make_project(folder)
    dags = project.root / "dags"
    for path in dags.iterdir():
        if path.name != "airflow.env":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (dags / "own.py").write_text(DAGS)
    (dags / "part.py").write_text('WORD = "imported"  # no file of an Airflow DAG\n')
    (dags / ".airflowignore").write_text("part.py\n")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return Airflow(project, int(one.getsockname()[1]))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """The one of all tests here, running or not."""
    airflow = make_airflow(tmp_path_factory.mktemp("airflow").resolve() / "project")
    yield airflow
    airflow.script("stop", "--grace-s", "0")


@pytest.fixture
def running(installed: Airflow) -> Airflow:
    """Start it if it does not run."""
    started = installed.start()
    assert started.returncode == 0, started.stdout + started.stderr
    return installed


def test_start_returns_when_all_parts_are_up_and_the_dags_are_read(installed: Airflow) -> None:
    started = installed.start()
    assert started.returncode == 0, started.stdout + started.stderr
    last = started.stdout.splitlines()[-1]
    assert last.startswith(f"Airflow is ready: http://127.0.0.1:{installed.port}  user admin")
    health = installed.ask("/api/v2/monitor/health", is_signed=False)
    assert {part: told["status"] for part, told in health.items()} == dict.fromkeys(
        ("metadatabase", "scheduler", "dag_processor", "triggerer"), "healthy"
    )
    assert {dag["dag_id"]: dag["is_paused"] for dag in installed.ask("/api/v2/dags")["dags"]} == {
        "imports": True,
        "sleeps": True,
    }
    assert installed.ask("/api/v2/importErrors")["total_entries"] == 0


def test_a_second_start_finds_the_first(running: Airflow) -> None:
    pid = running.pid
    again = running.start()
    assert (again.returncode, running.pid) == (0, pid)
    assert "is running already" in again.stdout


def test_it_listens_on_loopback_alone(running: Airflow) -> None:
    listeners = running.listeners()
    assert ("127.0.0.1", running.port) in listeners
    assert len(listeners) == 3  # the web server, and the logs of tasks and of triggers
    assert {address for address, _ in listeners} == {"127.0.0.1"}


def test_password_and_keys_are_their_owners_alone(running: Airflow) -> None:
    private = [running.home / name for name in ("airflow.cfg", "standalone.log")]
    private += running.home.glob("simple_auth_manager_passwords*")
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    assert running.password not in (running.home / "standalone.log").read_text()
    assert "HMAC key is" not in (running.home / "standalone.log").read_text()


def test_every_setting_is_one_that_airflow_knows() -> None:
    [known] = VENV.glob("lib/*/site-packages/airflow/config_templates/config.yml")
    sections = yaml.safe_load(known.read_text())
    lines = (ROOT / "dags" / "airflow.env").read_text().splitlines()
    keys = [line.partition("=")[0] for line in lines if line and not line.startswith("#")]
    assert len(keys) > 10
    for key in keys:
        _, section, option = key.lower().split("__")
        assert option in sections[section]["options"], key


def test_the_settings_serve_airflows_own_command(running: Airflow) -> None:
    command = f'eval "$(scripts/airflow.sh env)"; {VENV}/bin/airflow config get-value core execution_api_server_url'
    done = running.project.call("bash", "-c", command, RATCHET_AIRFLOW_VENV=str(VENV))
    assert done.stdout.strip() == f"http://127.0.0.1:{running.port}/execution/", done.stderr


def test_a_task_runs_and_its_log_can_be_read(running: Airflow) -> None:
    run = running.trigger("imports")
    assert wait_for(lambda: running.ask(run)["state"] in ("success", "failed"), _TASK_S)
    log = running.ask(f"{run}/taskInstances/read/logs/1?full_content=true")
    assert running.ask(run)["state"] == "success", log
    assert "a line of the task imported" in json.dumps(log)
    assert "Could not read" not in json.dumps(log)


def test_a_new_dag_file_is_seen_in_about_ten_seconds(running: Airflow) -> None:
    (running.project.root / "dags" / "late.py").write_text(DAGS.replace('DAG("', 'DAG("late_'))
    try:
        found = wait_for(lambda: "late_imports" in json.dumps(running.ask("/api/v2/dags")), 30.0)
    finally:
        (running.project.root / "dags" / "late.py").unlink()
    assert found


def test_a_task_that_is_set_to_failed_is_ended_at_once(running: Airflow) -> None:
    run = running.trigger("sleeps")
    assert wait_for(running.sleepers, _TASK_S)
    [task] = running.ask(f"{run}/taskInstances")["task_instances"]
    log = running.ask(f"{run}/taskInstances/sleep/logs/{task['try_number']}?full_content=true")
    assert "Could not read" not in json.dumps(log)  # served while it runs
    running.ask(f"{run}/taskInstances/sleep", "PATCH", {"new_state": "failed"})
    assert wait_for(lambda: not running.sleepers(), 10.0)


def test_stop_leaves_nothing_of_a_killed_standalone_and_its_task_starts_anew(running: Airflow) -> None:
    run = running.trigger("sleeps")
    assert wait_for(running.sleepers, _TASK_S)
    session = running.pid
    assert len({os.getsid(one.pid) for one in running.sleepers()} - {session}) == 1  # Airflow gives it one of its own
    os.kill(session, signal.SIGKILL)
    stopped = running.script("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert "Airflow has ended" in stopped.stdout
    assert running.project.processes() == []
    assert running.sleepers() == []
    assert [one.pid for one in psutil.process_iter() if _session(one) == session] == []
    assert running.script("stop").stdout == "Airflow is not running\n"

    started = running.start()
    assert started.returncode == 0, started.stderr
    assert wait_for(running.sleepers, _AGAIN_S)
    running.ask(run, "PATCH", {"state": "failed"})
    assert wait_for(lambda: not running.sleepers(), 10.0)


def test_parts_that_lost_standalone_end_by_themselves(running: Airflow) -> None:
    os.kill(running.pid, signal.SIGKILL)
    assert wait_for(lambda: not running.listeners(), 60.0)
    assert running.script("status").returncode == 1


def test_a_dag_file_that_cannot_be_read_is_told_and_the_others_run(installed: Airflow) -> None:
    broken = installed.project.root / "dags" / "broken.py"
    broken.write_text("from airflow.sdk import DAG\n\nimport tensorflow_of_another_environment\n")
    installed.script("stop")
    try:
        started = installed.start()
    finally:
        broken.unlink()
        installed.script("stop")
    assert started.returncode == 0, started.stderr
    [line] = [line for line in started.stdout.splitlines() if line.startswith("warning")]
    assert "dags/broken.py: ModuleNotFoundError: No module named 'tensorflow_of_another_environment'" in line
    assert installed.project.processes() == []


def _session(process: psutil.Process) -> int:
    try:
        return os.getsid(process.pid) if process.status() != psutil.STATUS_ZOMBIE else 0
    except (psutil.Error, OSError):
        return 0
