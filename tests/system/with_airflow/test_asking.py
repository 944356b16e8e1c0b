"""What is asked for wrongly: refused in the form, or red at once in one line."""

from __future__ import annotations

from typing import Any

import pytest

from tests.system.airflow import Airflow
from tests.system.with_airflow.conftest import FirstRun, up
from tests.system.with_airflow.project_of_airflow import DAG


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ({"train.epochs": 0}, "less than the minimum"),
        ({"train.epochs": "3; rm -rf /"}, "is not of type"),
        ({"train.optimizer.name": "adamm"}, "is not one of"),
        ({"reason": "x" * 2**20}, "is too long"),
        ({"data.path": "x" * 2**20}, "is too long"),
    ],
)
def test_a_wrong_value_is_refused_in_the_form(
    airflow: Airflow, first_run: FirstRun, conf: dict[str, Any], said: str
) -> None:
    status, text = airflow.ask("POST", f"/api/v2/dags/{DAG}/dagRuns", {"conf": conf, "logical_date": None})
    assert status == 400
    assert said in text


CANNOT_BE: list[tuple[dict[str, Any], str]] = [
    ({"train.epoch": 3}, "unknown key (did you mean 'train.epochs'?)"),
    ({"overrides": ["train.epocs=3"]}, "unknown key (did you mean 'train.epochs'?)"),
    ({"overrides": ["$(touch injected)"]}, "expected KEY=VALUE"),
    ({"data.path": "$(touch injected)\n; touch injected"}, "does not exist"),
]


@pytest.fixture(scope="module")
def asked(installed: Airflow, first_run: FirstRun) -> list[str]:
    """Runs of what cannot be, all asked for at once."""
    airflow = up(installed)
    bodies = [{"conf": conf, "logical_date": None} for conf, _ in CANNOT_BE]
    return [str(airflow.call("POST", f"/api/v2/dags/{DAG}/dagRuns", body)["dag_run_id"]) for body in bodies]


@pytest.mark.parametrize(("number", "said"), [(number, said) for number, (_, said) in enumerate(CANNOT_BE)])
def test_what_the_form_cannot_know_fails_at_once_in_one_line(
    airflow: Airflow, asked: list[str], number: int, said: str
) -> None:
    run_id = asked[number]
    done = airflow.ended(DAG, run_id)
    assert done["state"] == "failed"
    assert said in done["note"]
    assert airflow.tasks(DAG, run_id)["open"]["try_number"] == 1
    assert not list(airflow.project.root.rglob("injected"))
