"""The sweep: it asks Airflow which runs are gone, and leaves the rest to `ratchet runs sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import DRCount, ErrorResponse, GetDRCount

from dags.tasks import Sweep
from pipeline.records.run import RunRecord
from pipeline.runs import history
from pipeline.runs.workspaces import workspace_of
from tests.dags.task_run import execute

DAG = "retrain_one"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What Airflow is asked about: `gone` is all that it does not know."""
    questions: list[tuple[str, str]] = []

    class Supervisor:
        def send(self, msg: GetDRCount) -> DRCount:
            [run_id] = msg.run_ids or []
            questions.append((msg.dag_id, run_id))
            return DRCount(count=0 if run_id.startswith("gone") else 1)

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(), raising=False)
    return questions


def keep(project: Path, dag_run_id: str, *, has_workspace: bool = True, is_named: bool = True, **changes: Any) -> str:
    run_id = history.id_for(DAG, dag_run_id)
    names = {"dag_id": DAG, "dag_run_id": dag_run_id} if is_named else {}
    values = {"driver": "airflow", "state": "failed", **names, **changes}
    history.write(project, RunRecord(id=run_id, start=history.now(), **values))
    if has_workspace:
        workspace_of(project, run_id).mkdir(parents=True)
    return run_id


def sweep() -> None:
    execute(Sweep(task_id="sweep"), {"ti": task_runner.RuntimeTaskInstance})


def test_runs_that_were_deleted_in_airflow_are_swept_by_name(
    project: Path, said: list[str], asked: list[tuple[str, str]]
) -> None:
    gone = [keep(project, "gone__1"), keep(project, "gone__2", state="running")]
    keep(project, "manual__3")
    sweep()
    assert said[0] == f"called: -m pipeline runs sweep --gone {' '.join(gone)}"
    assert sorted(asked) == [(DAG, "gone__1"), (DAG, "gone__2"), (DAG, "manual__3")]


def test_where_no_run_was_deleted_nothing_is_named(
    project: Path, said: list[str], asked: list[tuple[str, str]]
) -> None:
    keep(project, "manual__3")
    sweep()
    assert said[0] == "called: -m pipeline runs sweep"


def test_airflow_is_asked_only_about_its_own_runs_whose_workspace_is_there(
    project: Path, said: list[str], asked: list[tuple[str, str]]
) -> None:
    keep(project, "gone__1", has_workspace=False)
    keep(project, "gone__2", driver="ratchet")
    keep(project, "gone__3", is_named=False)  # of a time when records did not name their DAG
    damaged = keep(project, "gone__4")
    (project / "runs" / damaged / history.RECORD_FILE).write_text("{")
    sweep()
    assert (asked, said[0]) == ([], "called: -m pipeline runs sweep")


def test_nothing_is_removed_if_airflow_cannot_be_asked(
    project: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Supervisor:
        def send(self, msg: GetDRCount) -> DRCount:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 503}))

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(), raising=False)
    keep(project, "gone__1")
    with pytest.raises(AirflowRuntimeError):
        sweep()
    assert said == []
