"""One Airflow for all tests of it. It takes long to start: what needs a start of its own has it in a fixture.

The files are run in the order of their names, and a run meets what the ones before have left in the registry.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.runs import history
from pipeline.runs.workspaces import workspace_of
from tests.processes_in import is_gone
from tests.system.airflow import Airflow
from tests.system.with_airflow import project_of_airflow
from tests.system.with_airflow.project_of_airflow import DAG
from tests.waiting import wait_for


@dataclass(frozen=True)
class AtStart:
    """What was told and asked when Airflow had started for the first time."""

    told: str
    health: dict[str, dict[str, Any]]
    dags: dict[str, dict[str, Any]]
    import_errors: list[Any]


@dataclass(frozen=True)
class FirstRun:
    """A triggered run that made the first champion, from an empty cache; and what stood there at its end."""

    id: str
    versions: list[dict[str, Any]]
    is_workspace_left: bool


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """The one Airflow, running or not."""
    project = project_of_airflow.make(tmp_path_factory.mktemp("airflow").resolve() / "project")
    airflow = Airflow(project)
    try:
        yield airflow
    finally:
        airflow.stop()
    wait_for(lambda: not project.processes(), "no process is left", explain=project.processes)


@pytest.fixture(scope="session")
def at_start(installed: Airflow) -> AtStart:
    """Start it for the first time."""
    told = installed.start()
    status, health = installed.ask("GET", "/api/v2/monitor/health", token=False)
    assert status == 200
    dags = {dag["dag_id"]: dag for dag in installed.call("GET", "/api/v2/dags")["dags"]}
    return AtStart(told, json.loads(health), dags, installed.call("GET", "/api/v2/importErrors")["import_errors"])


@pytest.fixture
def airflow(installed: Airflow, at_start: AtStart) -> Airflow:
    """The one Airflow, running: started again if a test has ended it."""
    return up(installed)


def up(airflow: Airflow) -> Airflow:
    """Start it if it does not run."""
    if not (airflow.home / "standalone.json").exists() or is_gone(airflow.pid):
        airflow.start()
    return airflow


@pytest.fixture(scope="session")
def first_run(installed: Airflow, at_start: AtStart) -> FirstRun:
    """Trigger a run and wait until it is promoted."""
    airflow = up(installed)
    airflow.switch_on(DAG)
    run_id = airflow.trigger(DAG, reason="the {{ 7 * 7 }} first $(touch injected); touch injected")
    done = airflow.ended(DAG, run_id)
    assert done["state"] == "success", airflow.told(DAG, run_id)
    versions = json.loads(airflow.project.ratchet("registry", "list", "--json").stdout)
    return FirstRun(run_id, versions, workspace(airflow, DAG, run_id).exists())


def workspace(airflow: Airflow, dag: str, run_id: str) -> Path:
    """Return where a DAG run's workspace is, or was."""
    return workspace_of(airflow.project.root, history.id_for(dag, run_id))
