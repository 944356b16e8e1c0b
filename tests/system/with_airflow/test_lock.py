"""Every way of running leaves the same dvc.lock."""

from __future__ import annotations

import shutil

from tests.system.airflow import Airflow
from tests.system.with_airflow.conftest import FirstRun
from tests.system.with_airflow.project_of_airflow import DAG
from tests.waiting import wait_for


def test_a_triggered_run_leaves_the_lock_of_ratchet_run(
    airflow: Airflow, first_run: FirstRun, first_lock: bytes
) -> None:
    assert (airflow.kept(DAG, first_run.id) / "dvc.lock").read_bytes() == first_lock


def test_a_scheduled_run_leaves_the_lock_of_ratchet_run(
    airflow: Airflow, first_run: FirstRun, first_lock: bytes
) -> None:
    for name in ("registry", ".ratchet"):  # it meets an empty registry, as the first runs did
        shutil.rmtree(airflow.project.root / name, ignore_errors=True)
    dag = "retrain_nightly"
    airflow.switch_on(dag)  # its last date has not run yet: the scheduler makes that run now
    [scheduled] = wait_for(lambda: airflow.runs(dag), "the scheduled run", look_s=0.5)
    assert scheduled["run_type"] == "scheduled"
    assert airflow.ended(dag, scheduled["dag_run_id"])["state"] == "success"
    assert (airflow.kept(dag, scheduled["dag_run_id"]) / "dvc.lock").read_bytes() == first_lock
