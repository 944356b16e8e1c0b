"""Starting Airflow: ready when it returns, or nothing left and one line that says why."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import stat

import pytest

from tests.processes_in import is_gone
from tests.system.airflow_service.stand_in import Checkout
from tests.waiting import HANG_S, wait_for


def test_start_returns_when_it_is_ready_and_stop_leaves_nothing(checkout: Checkout) -> None:
    started = checkout.start()
    assert started.returncode == 0, started.stderr
    ready, last = started.stdout.splitlines()[-2:]
    assert ready == f"Airflow is ready: http://127.0.0.1:{checkout.port}"
    password = ".airflow/simple_auth_manager_passwords.json.generated"
    assert f"log in as admin; the password stands in the file {password}" in last
    assert checkout.call("status").returncode == 0
    stopped = checkout.stop()
    assert stopped.returncode == 0
    assert "Airflow has ended: 1 processes ended in" in stopped.stdout
    assert checkout.processes() == []
    again = checkout.stop()
    assert (again.returncode, again.stdout) == (0, "Airflow is not running\n")
    assert checkout.call("status").returncode == 1


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
    ("way", "option", "words"),
    [
        ("deaf", "--stall-s", r"the web server does not answer yet, and nothing of it has moved for \S+ s;"),
        (
            "slow to read",
            "--work-s",
            r"not read yet: first_dag\.py in dags/, and its processes have worked on that for",
        ),
    ],
)
def test_what_does_not_come_nearer_is_ended(checkout: Checkout, way: str, option: str, words: str) -> None:
    # The measures are the script's own. A machine that needs more of them to come to what is lacking is given more.
    for measure in ("0.5", "8", "64"):
        failed = checkout.start(way, option, measure)
        assert failed.returncode == 70
        if re.search(words, failed.stderr):
            break
    assert re.match(f"ratchet: Airflow is not ready: {words}", failed.stderr.splitlines()[0])
    assert checkout.processes() == []
    assert checkout.call("status").returncode == 1


def test_a_part_that_ends_during_the_start_is_named_at_once(checkout: Checkout) -> None:
    failed = checkout.start("without a scheduler")
    assert failed.returncode == 70
    assert failed.stderr.startswith("ratchet: Airflow's scheduler ended while it started; the end of .airflow/")
    assert checkout.processes() == []


def test_a_part_that_was_killed_is_named_and_all_is_started_anew(checkout: Checkout) -> None:
    assert checkout.start("with a scheduler").returncode == 0
    first = checkout.pid
    [scheduler] = [process for process in checkout.processes() if process.name() == "scheduler"]
    scheduler.kill()
    wait_for(lambda: is_gone(scheduler.pid), "its end")
    told = checkout.call("status")
    assert (told.returncode, "it has lost its scheduler" in told.stdout) == (1, True)
    again = checkout.call("start", AS="well")
    assert again.returncode == 0, again.stderr
    assert f"http://127.0.0.1:{checkout.port} has lost its scheduler: it is started anew" in again.stdout
    assert f"Airflow is ready: http://127.0.0.1:{checkout.port}" in again.stdout.splitlines()[-2]
    assert checkout.pid != first


def test_a_file_that_has_been_read_counts_also_if_no_dag_was_in_it(checkout: Checkout) -> None:
    assert checkout.start("without a DAG").returncode == 0


def test_a_dag_file_that_cannot_be_read_is_told_and_the_others_run(checkout: Checkout) -> None:
    (checkout.root / "dags" / "broken.py").write_text("from airflow.sdk import DAG\nraise ValueError\n")
    started = checkout.start("with a broken DAG")
    assert started.returncode == 0
    [line] = [line for line in started.stdout.splitlines() if line.startswith("warning")]
    assert line.endswith("dags/broken.py: ValueError: no such stage")
    assert started.stdout.splitlines()[-2].startswith("Airflow is ready")


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_start_that_is_interrupted_leaves_nothing(checkout: Checkout, way: signal.Signals) -> None:
    with checkout.popen("start", "--port", str(checkout.port), AS="deaf") as starting:
        assert starting.stdout
        starting.stdout.readline()
        starting.send_signal(way)
        _, told = starting.communicate(timeout=HANG_S)
    assert starting.returncode == 128 + way, told
    assert checkout.processes() == []


def test_a_missing_environment_is_named_with_its_cure(checkout: Checkout) -> None:
    shutil.rmtree(checkout.root / "airflow-venv")
    refused = checkout.start()
    assert refused.returncode == 2
    [line] = refused.stderr.splitlines()
    assert line.endswith("make it with scripts/setup_airflow.sh")
    assert checkout.stop().returncode == 0
