"""A person's yes and no, given where Airflow asks for it."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.system.airflow import Airflow
from tests.system.with_airflow.conftest import FirstRun, up

ROWS = {"Reject": 128, "Approve": 96}  # other rows are another question to the gate, so that it is asked again


@pytest.fixture(scope="module")
def asking(installed: Airflow, first_run: FirstRun) -> dict[str, str]:
    """Two runs that go on side by side until each of them asks, by the answer that each will get."""
    airflow, dag = up(installed), "retrain_approved"
    airflow.switch_on(dag)
    return {answer: airflow.trigger(dag, gate__parity__rows=rows) for answer, rows in ROWS.items()}


@pytest.mark.parametrize(
    ("answer", "registered", "note"), [("Reject", "skipped", "not approved"), ("Approve", "success", "promoted")]
)
def test_a_candidate_is_registered_when_a_person_says_yes(
    airflow: Airflow, asking: dict[str, str], answer: str, registered: str, note: str
) -> None:
    dag, run_id = "retrain_approved", asking[answer]
    path = f"/api/v2/dags/{dag}/dagRuns/{quote(run_id)}/taskInstances/approve/-1/hitlDetails"
    airflow.wait(dag, run_id, lambda: airflow.states(dag, run_id)["approve"] == "awaiting_input", "the question")
    question = airflow.call("GET", path)
    assert "PROMOTE" in question["body"]
    assert question["defaults"] == ["Reject"]
    # Airflow 3.3.2 fails a task that is answered before its scheduler has seen it go to wait; no person is that quick.
    seen = f"TaskInstance Finished: dag_id={dag}, task_id=approve, run_id={run_id},"
    told = airflow.home / "standalone.log"
    airflow.wait(dag, run_id, lambda: seen in told.read_text(), "the scheduler has seen it go to wait")
    airflow.call("PATCH", path, {"chosen_options": [answer]})
    done = airflow.ended(dag, run_id)
    assert done["state"] == "success", airflow.told(dag, run_id)
    assert airflow.states(dag, run_id)["register"] == registered
    assert done["note"].startswith(note)
