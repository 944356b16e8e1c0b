"""Starting and stopping Airflow, with a stand-in that answers in an instant. The real one: tests/system/."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.processes_in import processes_in

ROOT = Path(__file__).resolve().parents[2]

# $AS says how it does. It answers as Airflow's REST API does, as far as it is asked: test_airflow_standalone.py.
STAND_IN = """
import json, os, signal, subprocess, sys
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

way, home, dags = os.environ["AS"], Path(os.environ["AIRFLOW_HOME"]), Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
assert sys.argv[1:] == ["standalone"]
assert json.loads((home / "simple_auth_manager_passwords.json.generated").read_text())["admin"]
print("the stand-in speaks", flush=True)
if way == "dying":
    sys.exit("no such database")
if way == "with a task":
    # A task whose command has left the session and does not listen, under a part that has changed its title.
    task = "import os, signal; os.setsid(); signal.signal(15, signal.SIG_IGN); signal.pause()"
    part = f"import subprocess, sys; subprocess.run([{sys.executable!r}, '-c', {task!r}])"
    subprocess.Popen(["airflow supervisor", "-c", part], executable=sys.executable)
now = datetime.now(timezone.utc).isoformat()
read = [path.name for path in dags.glob("*dag.py")]
if way in ("without a DAG", "slow to read"):
    parse_log = Path(os.environ["AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY"], *"day folder".split())
    parse_log.mkdir(parents=True)
    for path in read:
        reading = (parse_log / f"{path}.log").open("a")
        if way == "without a DAG":
            reading.close()
    read = []
parts = ("scheduler", "dag_processor", "triggerer")
answers = {
    "/api/v2/monitor/health": {
        "metadatabase": {"status": "healthy"},
        **{part: {"status": "healthy", f"latest_{part}_heartbeat": now} for part in parts},
    },
    "/auth/token": {"access_token": "token"},
    "/api/v2/dags": {"dags": [{"relative_fileloc": name, "last_parsed_time": now} for name in read]},
    "/api/v2/importErrors": {"import_errors": []},
}
if way == "with a broken DAG":
    trace = "Traceback\\n  …\\nValueError: no such stage\\n"
    error = {"filename": "broken.py", "timestamp": now, "stack_trace": trace}
    answers["/api/v2/importErrors"]["import_errors"].append(error)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.partition("?")[0]
        if path in ("/api/v2/dags", "/api/v2/importErrors") and self.headers["Authorization"] != "Bearer token":
            return self.send_error(401)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"total_entries": 1, **answers[path]}).encode())
    do_POST = do_GET
    def log_message(self, *_):
        pass

signal.signal(signal.SIGINT, lambda *_: sys.exit())
if way == "deaf":
    signal.pause()
HTTPServer((os.environ["AIRFLOW__API__HOST"], int(os.environ["AIRFLOW__API__PORT"])), Handler).serve_forever()
"""


@dataclass(frozen=True)
class Checkout:
    """A copy of what the script reads, and the script."""

    root: Path
    port: int

    def start(self, way: str = "well", *options: str) -> subprocess.CompletedProcess[str]:
        return self.call("start", "--port", str(self.port), *options, AS=way)

    def stop(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self.call("stop", *options)

    def call(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        with self.popen(*arguments, **variables) as process:
            out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def popen(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.root / "scripts" / "airflow.sh"), *arguments],
            env={**os.environ, "RATCHET_AIRFLOW_VENV": str(self.root / "airflow-venv"), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        return int(json.loads((self.root / ".airflow" / "standalone.json").read_text())["pid"])

    def processes(self) -> list[psutil.Process]:
        """Return the processes that work in this project's folder."""
        return processes_in(self.root)


def make_checkout(folder: Path) -> Checkout:
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    programs = folder / "airflow-venv" / "bin"
    programs.mkdir(parents=True)
    for name, text in (
        ("airflow", f"#!{sys.executable}{STAND_IN}"),
        ("python", f'#!/bin/sh\nexec {sys.executable} "$@"\n'),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (folder / "dags").mkdir()
    shutil.copy(ROOT / "dags" / "airflow.env", folder / "dags")
    (folder / "dags" / "first_dag.py").write_text("from airflow.sdk import DAG\n")
    (folder / "dags" / "parts.py").write_text("# what an Airflow DAG is made of\n")
    (folder / "dags" / ".airflowignore").write_text("parts.py\n")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return Checkout(folder.resolve(), int(one.getsockname()[1]))


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    made = make_checkout(tmp_path / "checkout")
    yield made
    made.stop("--grace-s", "0")
    assert made.processes() == []


def test_start_returns_when_it_is_ready_and_stop_leaves_nothing(checkout: Checkout) -> None:
    started = checkout.start()
    assert started.returncode == 0, started.stderr
    last = started.stdout.splitlines()[-1]
    assert f"Airflow is ready: http://127.0.0.1:{checkout.port}" in last
    assert "user admin, password in .airflow/simple_auth_manager_passwords.json.generated" in last
    assert checkout.call("status").returncode == 0
    stopped = checkout.stop()
    assert stopped.returncode == 0
    assert "Airflow has ended: 1 processes ended in" in stopped.stdout
    assert checkout.processes() == []
    again = checkout.stop()
    assert (again.returncode, again.stdout) == (0, "Airflow is not running\n")
    assert checkout.call("status").returncode == 1


def test_stop_where_none_ever_ran_makes_nothing(checkout: Checkout) -> None:
    assert checkout.stop().returncode == 0
    assert not (checkout.root / ".airflow").exists()


def test_the_password_is_kept_for_its_owner_and_never_printed(checkout: Checkout) -> None:
    started = checkout.start()
    [path] = (checkout.root / ".airflow").glob("simple_auth_manager_passwords*")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    password = json.loads(path.read_text())["admin"]
    assert len(password) >= 16
    assert password not in started.stdout + started.stderr
    checkout.stop()
    checkout.start()
    assert json.loads(path.read_text())["admin"] == password


def test_a_second_start_names_the_one_that_runs(checkout: Checkout) -> None:
    checkout.start()
    pid = checkout.pid
    second = checkout.call("start", "--port", str(checkout.port + 1), AS="well")
    assert second.returncode == 0
    assert f"runs on port {checkout.port} already" in second.stdout
    assert f"Airflow is running already: http://127.0.0.1:{checkout.port}" in second.stdout
    assert checkout.pid == pid


def test_a_port_that_is_taken_is_named_in_one_line(checkout: Checkout) -> None:
    with socket.socket() as other:
        other.bind(("", checkout.port))
        other.listen()
        refused = checkout.start()
    assert refused.returncode == 2
    [line] = refused.stderr.splitlines()
    assert f"port {checkout.port} of 127.0.0.1 is taken: choose another with PORT=…, for example " in line
    assert checkout.processes() == []
    assert not (checkout.root / ".airflow" / "standalone.json").exists()


@pytest.mark.parametrize("port", ["0", "65536", "web"])
def test_what_is_no_port_is_refused(checkout: Checkout, port: str) -> None:
    refused = checkout.call("start", "--port", port)
    assert refused.returncode == 2
    assert port in refused.stderr.splitlines()[-1]


def test_an_airflow_that_dies_is_told_with_its_last_lines(checkout: Checkout) -> None:
    failed = checkout.start("dying")
    assert failed.returncode == 70
    lines = failed.stderr.splitlines()
    assert "Airflow ended while it started" in lines[0]
    assert lines[1:] == ["the stand-in speaks", "no such database"]
    assert checkout.processes() == []


@pytest.mark.parametrize(
    ("way", "lacks"),
    [
        ("deaf", "the web server does not answer yet"),
        ("slow to read", "not read yet: first_dag.py in dags/"),
    ],
)
def test_what_is_not_ready_in_time_is_ended(checkout: Checkout, way: str, lacks: str) -> None:
    failed = checkout.start(way, "--timeout-s", "1")
    assert failed.returncode == 70
    assert f"Airflow is not ready after 1 s: {lacks}" in failed.stderr.splitlines()[0]
    assert checkout.processes() == []
    assert checkout.call("status").returncode == 1


def test_a_file_that_has_been_read_counts_also_if_no_dag_was_in_it(checkout: Checkout) -> None:
    assert checkout.start("without a DAG", "--timeout-s", "5").returncode == 0


def test_a_dag_file_that_cannot_be_read_is_told_and_the_others_run(checkout: Checkout) -> None:
    (checkout.root / "dags" / "broken.py").write_text("from airflow.sdk import DAG\nraise ValueError\n")
    started = checkout.start("with a broken DAG")
    assert started.returncode == 0
    [line] = [line for line in started.stdout.splitlines() if line.startswith("warning")]
    assert line.endswith("dags/broken.py: ValueError: no such stage")
    assert started.stdout.splitlines()[-1].startswith("Airflow is ready")


def start_with_a_task(checkout: Checkout) -> None:
    """Start it and return when the task has left the session."""
    assert checkout.start("with a task").returncode == 0
    deadline_s = time.monotonic() + 10
    while len({os.getsid(process.pid) for process in checkout.processes()}) < 2:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_stop_finds_what_a_killed_standalone_left_behind(checkout: Checkout) -> None:
    start_with_a_task(checkout)
    assert len(checkout.processes()) == 3
    os.kill(checkout.pid, signal.SIGKILL)
    stopped = checkout.stop("--grace-s", "0.5")
    assert stopped.returncode == 0, stopped.stderr
    assert "by force" in stopped.stdout
    assert checkout.processes() == []


def test_start_ends_what_a_killed_standalone_left_behind(checkout: Checkout) -> None:
    start_with_a_task(checkout)
    left = {process.pid for process in checkout.processes()}
    os.kill(checkout.pid, signal.SIGKILL)
    started = checkout.start("well", "--grace-s", "0.5")
    assert started.returncode == 0, started.stderr
    assert "something was left of an Airflow that was killed" in started.stdout
    assert not left & {process.pid for process in checkout.processes()}


def test_a_process_that_has_got_the_pid_meanwhile_is_left_alone(checkout: Checkout) -> None:
    checkout.start()
    record = checkout.root / ".airflow" / "standalone.json"
    fields = json.loads(record.read_text())
    checkout.stop()
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as innocent:
        try:
            record.write_text(json.dumps({**fields, "pid": innocent.pid}))
            assert checkout.call("status").returncode == 1
            assert checkout.stop().stdout == "Airflow is not running\n"
            assert innocent.poll() is None
        finally:
            innocent.kill()


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_start_that_is_interrupted_leaves_nothing(checkout: Checkout, way: signal.Signals) -> None:
    with checkout.popen("start", "--port", str(checkout.port), AS="deaf") as starting:
        assert starting.stdout
        starting.stdout.readline()
        starting.send_signal(way)
        starting.communicate(timeout=30)
    assert starting.returncode == 128 + way
    assert checkout.processes() == []


def test_what_a_killed_start_has_begun_is_known(checkout: Checkout) -> None:
    with checkout.popen("start", "--port", str(checkout.port), AS="deaf") as starting:
        assert starting.stdout
        starting.stdout.readline()
        starting.kill()
    assert checkout.call("status").returncode == 1
    stopped = checkout.stop()
    assert "Airflow has ended: 1 processes" in stopped.stdout
    assert checkout.processes() == []


def test_another_checkout_is_not_touched(checkout: Checkout, tmp_path: Path) -> None:
    other = make_checkout(tmp_path / "checkout-2")
    try:
        assert checkout.start().returncode == 0
        assert other.start().returncode == 0
        checkout.stop()
        assert other.call("status").returncode == 0
    finally:
        other.stop()
    assert other.processes() == []


def test_the_environment_can_be_taken_over_by_a_shell(checkout: Checkout) -> None:
    def read(**variables: str) -> dict[str, str]:
        exports = checkout.call("env", "--port", "8123", **variables).stdout
        assert all(line.startswith("export ") for line in exports.splitlines())
        command = f"{exports}\nenv -0"
        done = subprocess.run(["bash", "-c", command], env={}, capture_output=True, text=True, check=True)
        return dict(pair.split("=", 1) for pair in done.stdout.split("\0") if pair)

    found = read()
    assert found["AIRFLOW_HOME"] == str(checkout.root / ".airflow")
    assert found["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8123/execution/"
    assert found["PYTHONPATH"] == str(checkout.root)
    assert found["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    assert "127.0.0.1" in found["NO_PROXY"].split(",")
    assert read(AIRFLOW__CORE__PARALLELISM="3")["AIRFLOW__CORE__PARALLELISM"] == "3"
    assert read(AIRFLOW_HOME="/elsewhere")["AIRFLOW_HOME"] == str(checkout.root / ".airflow")


def test_a_missing_environment_is_named_with_its_cure(checkout: Checkout) -> None:
    shutil.rmtree(checkout.root / "airflow-venv")
    refused = checkout.start()
    assert refused.returncode == 2
    [line] = refused.stderr.splitlines()
    assert line.endswith("make it with scripts/setup_airflow.sh")
    assert checkout.stop().returncode == 0


def test_the_help_tells_the_verbs(checkout: Checkout) -> None:
    told = checkout.call("--help")
    assert told.returncode == 0
    for verb in ("start", "stop", "status", "env"):
        assert f"scripts/airflow.sh {verb}" in told.stdout


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_the_shell_scripts_are_sound() -> None:
    scripts = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "scripts").glob("*.sh"))
    checked = subprocess.run(
        ["shellcheck", "--external-sources", "--severity=warning", *scripts],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
