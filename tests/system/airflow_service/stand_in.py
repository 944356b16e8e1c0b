"""A stand-in for Airflow that answers in an instant, and a checkout that starts it. The real one: with_airflow/."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.processes_in import processes_in
from tests.waiting import HANG_S

ROOT = Path(__file__).resolve().parents[3]


# $AS says how it does. It answers as Airflow's REST API does, as far as it is asked: with_airflow/.
STAND_IN = """
import json, os, signal, subprocess, sys, threading
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
    task = "import os, signal; signal.signal(15, signal.SIG_IGN); os.setsid(); signal.pause()"
    part = f"import subprocess, sys; subprocess.run([{sys.executable!r}, '-c', {task!r}])"
    subprocess.Popen(["airflow supervisor", "-c", part], executable=sys.executable)
if "a scheduler" in way:
    # A part by its name, which ends when its input does: at once, or when somebody kills it.
    scheduler = home / "scheduler"
    scheduler.write_text("#!/bin/sh\\nread line\\n")
    scheduler.chmod(0o755)
    part = subprocess.Popen([scheduler], stdin=subprocess.DEVNULL if "without" in way else subprocess.PIPE)
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
if way == "slow to read":
    threading.Thread(target=lambda: all(True for _ in iter(int, 1)), daemon=True).start()  # at work
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
            out, err = process.communicate(timeout=HANG_S)
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
