"""Runs that a person marks as failed or as a success before their end: red, and the record says where they ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.system.airflow import Airflow
from tests.system.with_airflow.conftest import AtStart, up, workspace

MARKED = "retrain_cleared"


@dataclass(frozen=True)
class Marked:
    """A run that was marked, at its end: as Airflow has it, and its record."""

    run: dict[str, Any]
    record: dict[str, Any]
    has_workspace: bool

    @classmethod
    def look(cls, airflow: Airflow, run_id: str) -> Marked:
        run = airflow.ended(MARKED, run_id)
        record = json.loads((airflow.kept(MARKED, run_id) / "record.json").read_text())
        return cls(run, record, workspace(airflow, MARKED, run_id).exists())


@pytest.fixture(scope="module")
def waiting(installed: Airflow, at_start: AtStart) -> Marked:
    """Marked as failed before any of its tasks has begun."""
    airflow = up(installed)
    airflow.switch_off(MARKED)  # nothing of a paused DAG is begun
    run_id = airflow.trigger(MARKED, train__epochs=1)
    airflow.mark(MARKED, run_id, "failed")
    airflow.switch_on(MARKED)
    return Marked.look(airflow, run_id)


@pytest.fixture(scope="module", params=["failed", "success"])
def at_work(installed: Airflow, at_start: AtStart, request: pytest.FixtureRequest) -> Marked:
    """Marked while a stage was at work."""
    airflow = up(installed)
    airflow.switch_on(MARKED)
    run_id = airflow.trigger(MARKED, train__epochs=1, force=True)
    airflow.wait(MARKED, run_id, lambda: airflow.states(MARKED, run_id)["ingest"] == "running", "ingest")
    airflow.mark(MARKED, run_id, request.param)
    return Marked.look(airflow, run_id)


def test_a_run_that_was_marked_while_it_waited_is_red_and_says_so(waiting: Marked) -> None:
    assert (waiting.run["state"], waiting.record["state"]) == ("failed", "failed")
    assert waiting.run["note"] == "failed: ended by hand before open"
    assert not waiting.has_workspace


def test_a_run_that_was_marked_at_work_is_red_and_names_the_task(at_work: Marked) -> None:
    assert (at_work.run["state"], at_work.record["state"]) == ("failed", "failed")
    assert at_work.run["note"].startswith(("failed: ingest: set to failed", "failed: ended by hand before ")), (
        at_work.run
    )
    assert at_work.has_workspace  # for whoever looks for the cause
