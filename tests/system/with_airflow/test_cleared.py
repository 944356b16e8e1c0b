"""A finished run that is cleared: it runs again from there, and what it left behind the first time stays as it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pipeline.records.run import ATTEMPTS
from tests.system.airflow import Airflow
from tests.system.with_airflow.conftest import AtStart, up, workspace

DAG, SWEEP = "retrain_cleared", "ratchet_sweep"


@dataclass(frozen=True)
class Attempt:
    """A run at the end of one of its attempts: what Airflow says of it, and what the attempt has left behind."""

    state: str
    note: str
    tasks: dict[str, dict[str, Any]]
    folder: Path
    evidence: dict[str, str]
    registry: str
    is_workspace_left: bool

    @classmethod
    def at_its_end(cls, airflow: Airflow, run_id: str) -> Attempt:
        run, folder = airflow.ended(DAG, run_id), airflow.kept(DAG, run_id)
        return cls(
            run["state"],
            run["note"],
            airflow.tasks(DAG, run_id),
            folder,
            evidence_in(folder),
            airflow.project.ratchet("registry", "list", "--json", "--name", "cleared").stdout,
            workspace(airflow, DAG, run_id).exists(),
        )

    def tries(self, *tasks: str) -> list[int]:
        """Return how often each of these tasks has been tried so far."""
        return [self.tasks[task]["try_number"] for task in tasks]


def evidence_in(folder: Path) -> dict[str, str]:
    """Return the digest of each file that an attempt has left behind, those of later attempts left out."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    names = {str(path.relative_to(folder)): path for path in files}
    return {
        name: sha256(path.read_bytes()).hexdigest()
        for name, path in names.items()
        if not name.startswith(f"{ATTEMPTS}/")
    }


def clear(airflow: Airflow, run_id: str, task: str) -> None:
    """Clear a task and what stands after it, as the UI's button does."""
    body = {
        "dag_run_id": run_id,
        "task_ids": [task],
        "include_downstream": True,
        "only_failed": False,
        "reset_dag_runs": True,
        "dry_run": False,
    }
    airflow.call("POST", f"/api/v2/dags/{DAG}/clearTaskInstances", body)


@pytest.fixture(scope="module")
def run_id(installed: Airflow, at_start: AtStart) -> str:
    """The first run of its model, so that its candidate is promoted."""
    airflow = up(installed)
    airflow.switch_on(DAG)
    return airflow.trigger(DAG, reason="to be cleared")


@pytest.fixture(scope="module")
def attempts(installed: Airflow, run_id: str) -> list[Attempt]:
    """The run at its end; at its end after it was cleared at `evaluate`; and after it was cleared at `train`."""
    airflow = up(installed)
    found = [Attempt.at_its_end(airflow, run_id)]
    for task in ("evaluate", "train"):
        clear(airflow, run_id, task)
        found.append(Attempt.at_its_end(airflow, run_id))
    return found


def test_it_is_green_each_time(airflow: Airflow, run_id: str, attempts: list[Attempt]) -> None:
    assert [attempt.state for attempt in attempts] == ["success"] * 3, airflow.told(DAG, run_id)
    for attempt in attempts:
        states = {name: task["state"] for name, task in attempt.tasks.items()}
        assert set(states.values()) <= {"success", "skipped"}, states
        assert not attempt.is_workspace_left


def test_only_what_was_cleared_has_run_again(attempts: list[Attempt]) -> None:
    counts = [attempt.tries("open", "normalize", "train", "evaluate", "close") for attempt in attempts]
    assert counts == [[1, 1, 1, 1, 1], [2, 1, 1, 2, 2], [3, 1, 2, 3, 3]]


def test_each_attempt_has_a_folder_of_its_own_beside_the_first(attempts: list[Attempt]) -> None:
    first = attempts[0].folder
    assert [attempt.folder for attempt in attempts] == [first, first / ATTEMPTS / "2", first / ATTEMPTS / "3"]


def test_every_file_of_an_attempt_is_as_it_was_at_its_end(attempts: list[Attempt]) -> None:
    for attempt in attempts:
        assert {"record.json", "dvc.lock", "reports/verdict.json", "reports/index.html"} <= set(attempt.evidence)
        assert evidence_in(attempt.folder) == attempt.evidence


def test_every_attempt_has_the_same_lock(attempts: list[Attempt]) -> None:
    assert len({(attempt.folder / "dvc.lock").read_bytes() for attempt in attempts}) == 1


def test_it_is_promoted_each_time_and_published_once(attempts: list[Attempt]) -> None:
    assert {attempt.note.partition(":")[0] for attempt in attempts} == {"promoted"}
    [registry] = {attempt.registry for attempt in attempts}
    assert [version["aliases"] for version in json.loads(registry)] == [["champion"]]


def test_the_tab_of_the_run_shows_its_latest_attempt(airflow: Airflow, run_id: str, attempts: list[Attempt]) -> None:
    page = "reports/index.html"
    status, text = airflow.ask("GET", f"/ratchet/dags/{DAG}/runs/{quote(run_id, safe='')}/{page}")
    assert (status, text) == (200, (attempts[-1].folder / page).read_text())


# -- runs that are deleted in Airflow


@dataclass(frozen=True)
class Failed:
    """A run that has failed, with its workspace and what it has left behind."""

    run_id: str
    folder: Path
    evidence: dict[str, str]
    place: Path

    @classmethod
    def at_its_end(cls, airflow: Airflow, run_id: str) -> Failed:
        """Wait for the end of a run whose contract asks for more rows than there are."""
        assert airflow.ended(DAG, run_id)["state"] == "failed"
        folder, place = airflow.kept(DAG, run_id), workspace(airflow, DAG, run_id)
        assert place.is_dir()
        return cls(run_id, folder, evidence_in(folder), place)


@pytest.fixture(scope="module")
def deleted_and_other(installed: Airflow, at_start: AtStart) -> tuple[Failed, Failed]:
    """Two failed runs, of which one was deleted; after the sweep."""
    airflow = up(installed)
    airflow.switch_on(DAG)
    asked = [airflow.trigger(DAG, seed=seed, data__contracts="data_contracts/strict") for seed in (21, 22)]
    deleted, other = (Failed.at_its_end(airflow, run_id) for run_id in asked)
    airflow.call("DELETE", f"/api/v2/dags/{DAG}/dagRuns/{quote(deleted.run_id)}")
    airflow.switch_on(SWEEP)
    sweep = airflow.trigger(SWEEP)
    assert airflow.ended(SWEEP, sweep)["state"] == "success", airflow.told(SWEEP, sweep)
    airflow.switch_off(SWEEP)
    return deleted, other


def test_the_workspace_of_a_deleted_run_is_gone_after_the_sweep(deleted_and_other: tuple[Failed, Failed]) -> None:
    deleted, other = deleted_and_other
    assert not deleted.place.exists()
    assert other.place.is_dir()


def test_the_evidence_of_a_deleted_run_stays(deleted_and_other: tuple[Failed, Failed]) -> None:
    for run in deleted_and_other:
        assert "record.json" in run.evidence
        assert evidence_in(run.folder) == run.evidence


# -- a red run of which the failed tasks alone are cleared: that does not clear `open`


def test_a_failed_run_whose_failed_tasks_are_cleared_gets_another_attempt_and_keeps_the_first(
    airflow: Airflow, deleted_and_other: tuple[Failed, Failed]
) -> None:
    _, failed = deleted_and_other
    airflow.clear(DAG, failed.run_id)
    again = Attempt.at_its_end(airflow, failed.run_id)
    assert (again.state, again.tries("open", "check_raw", "close")) == ("failed", [1, 2, 2])
    assert again.folder == failed.folder / ATTEMPTS / "2"
    assert evidence_in(failed.folder) == failed.evidence


def test_what_a_deleted_run_has_left_goes_when_the_next_run_begins(
    airflow: Airflow, attempts: list[Attempt], deleted_and_other: tuple[Failed, Failed]
) -> None:
    _, other = deleted_and_other
    airflow.call("DELETE", f"/api/v2/dags/{DAG}/dagRuns/{quote(other.run_id)}")
    next_run = airflow.trigger(DAG)
    assert airflow.ended(DAG, next_run)["state"] == "success", airflow.told(DAG, next_run)
    assert not other.place.exists()
    assert "record.json" in evidence_in(other.folder)
