"""Every way of running leaves the same dvc.lock."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from tests.system.airflow import Airflow
from tests.system.with_airflow.conftest import AtStart, FirstRun, up
from tests.system.with_airflow.project_of_airflow import DAG
from tests.waiting import wait_for

LATE = timedelta(minutes=1)  # so long after its date a first run is still made: dags/schedules.py


def test_a_triggered_run_leaves_the_lock_of_ratchet_run(
    airflow: Airflow, first_run: FirstRun, first_lock: bytes
) -> None:
    assert (airflow.kept(DAG, first_run.id) / "dvc.lock").read_bytes() == first_lock


@dataclass(frozen=True)
class Scheduled:
    """The run of a date that came, at its end; and of the DAG: when it was due at first, and after it was deleted."""

    run: dict[str, Any]
    lock: bytes
    due_when_switched_on: datetime
    due_afterwards: datetime
    runs_afterwards: list[dict[str, Any]]


@pytest.fixture(scope="module")
def scheduled(installed: Airflow, at_start: AtStart, first_run: FirstRun) -> Scheduled:
    """The DAG runs at New Year and is switched on; then the next minute is its time; then its run is deleted."""
    airflow = up(installed)
    for name in ("registry", ".ratchet"):  # it meets an empty registry, as the first runs did
        shutil.rmtree(airflow.project.root / name, ignore_errors=True)
    due_when_switched_on = due(airflow)
    config = airflow.project.root / "configs" / "digits.yaml"
    soon = datetime.now(UTC) + timedelta(minutes=1)
    config.write_text(config.read_text().replace("0 2 1 1 *", f"{soon.minute} {soon.hour} * * *"))
    [run] = wait_for(lambda: scheduled_runs(airflow), "the scheduled run", look_s=0.5)
    done = airflow.ended(DAG, run["dag_run_id"])
    lock = (airflow.kept(DAG, run["dag_run_id"]) / "dvc.lock").read_bytes()
    date = datetime.fromisoformat(run["run_after"])
    wait_for(lambda: datetime.now(UTC) - date > LATE, "the date is past", look_s=0.5)
    airflow.call("DELETE", f"/api/v2/dags/{DAG}/dagRuns/{quote(run['dag_run_id'])}")
    read_anew(airflow)
    return Scheduled(done, lock, due_when_switched_on, due(airflow), scheduled_runs(airflow))


def read_anew(airflow: Airflow) -> None:
    """Wait until Airflow has read the DAG's file again, and so reckoned when it is due."""

    def last() -> str:
        return str(airflow.call("GET", f"/api/v2/dags/{DAG}")["last_parsed_time"])

    before = last()
    wait_for(lambda: last() != before, "the file is read anew", look_s=0.5)


def scheduled_runs(airflow: Airflow) -> list[dict[str, Any]]:
    return [run for run in airflow.runs(DAG) if run["run_type"] == "scheduled"]


def due(airflow: Airflow) -> datetime:
    return datetime.fromisoformat(airflow.call("GET", f"/api/v2/dags/{DAG}")["next_dagrun_run_after"])


def test_a_dag_that_is_switched_on_waits_for_its_next_date(scheduled: Scheduled) -> None:
    due = scheduled.due_when_switched_on
    assert due > datetime.fromisoformat(scheduled.run["run_after"])
    assert (due.month, due.day, due.hour, due.minute) == (1, 1, 2, 0)


def test_a_scheduled_run_leaves_the_lock_of_ratchet_run(scheduled: Scheduled, first_lock: bytes) -> None:
    assert (scheduled.run["run_type"], scheduled.run["state"]) == ("scheduled", "success")
    assert scheduled.lock == first_lock


def test_a_scheduled_run_that_was_deleted_is_not_made_again(scheduled: Scheduled) -> None:
    assert scheduled.runs_afterwards == []
    assert scheduled.due_afterwards - datetime.fromisoformat(scheduled.run["run_after"]) == timedelta(days=1)
