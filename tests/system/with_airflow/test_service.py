"""A real Airflow as scripts/airflow.sh starts it: ready, private, on loopback, with the project on its tasks' path."""

from __future__ import annotations

import json
import os
import stat
import urllib.request
from pathlib import Path

import yaml

from tests.system.airflow import Airflow
from tests.system.project import ROOT
from tests.system.with_airflow.conftest import AtStart
from tests.system.with_airflow.project_of_airflow import OWN_DAGS
from tests.system.with_airflow.service import listeners, start_sleeping, wait_until_nobody_sleeps
from tests.waiting import wait_for

VENV = Path(os.environ.get("RATCHET_AIRFLOW_VENV", ROOT / ".venv-airflow"))


def test_start_returns_when_all_parts_are_up_and_the_dags_are_read(installed: Airflow, at_start: AtStart) -> None:
    ready, log_in = at_start.told.splitlines()[-2:]
    assert ready == f"Airflow is ready: http://127.0.0.1:{installed.port}"
    assert log_in.startswith("log in as admin; the password stands in the file .airflow/")
    assert {part: told["status"] for part, told in at_start.health.items()} == dict.fromkeys(
        ("metadatabase", "scheduler", "dag_processor", "triggerer"), "healthy"
    )
    assert {"imports", "sleeps"} <= set(at_start.dags)


def test_a_second_start_finds_the_first(airflow: Airflow) -> None:
    pid = airflow.pid
    assert "is running already" in airflow.start()
    assert airflow.pid == pid


def test_it_listens_on_loopback_alone(airflow: Airflow) -> None:
    airflow.wait_until_idle()  # Spark listens too
    found = listeners(airflow)
    assert ("127.0.0.1", airflow.port) in found
    assert len(found) == 3  # the web server, and the logs of tasks and of triggers
    assert {address for address, _ in found} == {"127.0.0.1"}


def test_the_pages_beside_it_answer_on_loopback_and_end_with_a_stop_of_their_own_kind(airflow: Airflow) -> None:
    began = airflow.script("start", "--pages")
    assert began.returncode == 0, began.stdout + began.stderr
    file = airflow.home / "pages.json"
    addresses = json.loads(file.read_text())
    assert set(addresses) == {"mlflow", "tensorboard"}
    for address in addresses.values():
        with urllib.request.urlopen(address) as answer:
            assert answer.status == 200
        assert address in began.stdout
    assert "healthy" in airflow.script("status").stdout.splitlines()[-1]
    ports = {int(address.rpartition(":")[2]) for address in addresses.values()}
    assert {address for address, port in listeners(airflow) if port in ports} == {"127.0.0.1"}
    [leader] = [process for process in airflow.project.processes() if process.name() == "ratchet-pages"]
    leader.terminate()
    wait_for(lambda: not file.exists(), "the pages' file goes with them")
    told = airflow.script("status")
    assert told.stdout.splitlines()[-1].endswith("they have ended: start --pages repairs them")
    assert told.returncode == 1
    assert "healthy" in told.stdout.splitlines()[0]  # Airflow itself goes on
    assert airflow.call("GET", "/api/v2/monitor/health")["scheduler"]["status"] == "healthy"


def test_password_and_keys_are_their_owners_alone(airflow: Airflow) -> None:
    private = [airflow.home / name for name in ("airflow.cfg", "standalone.log")]
    private += airflow.home.glob("simple_auth_manager_passwords*")
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    assert airflow.password not in (airflow.home / "standalone.log").read_text()
    assert "HMAC key is" not in (airflow.home / "standalone.log").read_text()


def test_every_setting_is_one_that_airflow_knows() -> None:
    [known] = VENV.glob("lib/*/site-packages/airflow/config_templates/config.yml")
    sections = yaml.safe_load(known.read_text())
    lines = (ROOT / "dags" / "airflow.env").read_text().splitlines()
    keys = [line.partition("=")[0] for line in lines if line and not line.startswith("#")]
    assert len(keys) > 10
    for key in keys:
        _, section, option = key.lower().split("__")
        assert option in sections[section]["options"], key


def test_the_settings_serve_airflows_own_command(airflow: Airflow) -> None:
    command = f'eval "$(scripts/airflow.sh env)"; {VENV}/bin/airflow config get-value core execution_api_server_url'
    done = airflow.project.call("bash", "-c", command, RATCHET_AIRFLOW_VENV=str(VENV))
    assert done.stdout.strip() == f"http://127.0.0.1:{airflow.port}/execution/", done.stderr


def test_a_task_imports_the_project_and_its_log_can_be_read(airflow: Airflow) -> None:
    airflow.switch_on("imports")
    run_id = airflow.trigger("imports")
    state = airflow.ended("imports", run_id)["state"]
    log = "\n".join(airflow.log("imports", run_id, "read"))
    assert state == "success", log
    assert "a line of the task imported" in log
    assert "Could not read" not in log


def test_a_new_dag_file_is_seen_before_the_others_are_read_often(airflow: Airflow) -> None:
    # By the settings every file is read each 10 s, and a new one is looked for each 5 s: not each 5 min, as by default.
    readings = set()

    def is_seen() -> bool:
        readings.add(airflow.call("GET", "/api/v2/dags/imports")["last_parsed_time"])
        return airflow.ask("GET", "/api/v2/dags/late_imports")[0] == 200

    late = airflow.project.root / "dags" / "late.py"
    late.write_text(OWN_DAGS.replace('DAG("', 'DAG("late_'))
    try:
        wait_for(lambda: is_seen() or len(readings) > 6, "the DAG", progress=lambda: len(readings), look_s=0.5)
        assert is_seen()
    finally:
        late.unlink()


def test_the_log_of_a_task_is_served_while_it_runs_and_failing_it_ends_it(airflow: Airflow) -> None:
    run_id = start_sleeping(airflow)
    log = airflow.log("sleeps", run_id, "sleep", airflow.tasks("sleeps", run_id)["sleep"]["try_number"])
    assert "Could not read" not in "\n".join(log)
    airflow.set_state("sleeps", run_id, "sleep", "failed")
    wait_until_nobody_sleeps()
