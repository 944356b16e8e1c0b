"""A config that is wrong disables its own DAG, and no other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.airflow import Airflow
from tests.system.with_airflow.conftest import AtStart, FirstRun, up
from tests.system.with_airflow.project_of_airflow import CONFIGS, DAG
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def error(installed: Airflow, at_start: AtStart) -> Iterator[str]:
    """What Airflow tells of a config with a misspelt key, while it stands there."""
    airflow = up(installed)
    broken = airflow.project.root / "configs" / "broken.yaml"

    def errors() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = airflow.call("GET", "/api/v2/importErrors")["import_errors"]
        return found

    broken.write_text("recipe:\n  train: {epochz: 3}\n")
    try:
        [told] = wait_for(errors, "the import error", look_s=0.5)
        yield told["stack_trace"]
    finally:
        broken.unlink()
    wait_for(lambda: not errors(), "the error goes", look_s=0.5)


def test_it_is_told_in_one_line_with_file_and_key(error: str) -> None:
    assert "configs/broken.yaml" in error
    assert "train.epochz" in error
    assert "\n" not in error.strip()


def test_the_others_have_no_error(airflow: Airflow, error: str) -> None:
    dags = airflow.call("GET", "/api/v2/dags")["dags"]
    assert {dag["dag_id"] for dag in dags} >= {f"retrain_{name}" for name in CONFIGS}
    assert [dag["dag_id"] for dag in dags if dag["has_import_errors"]] == []


def test_the_others_run_on(airflow: Airflow, first_run: FirstRun, error: str) -> None:
    run_id = airflow.trigger(DAG, reason="others run on")
    assert airflow.ended(DAG, run_id)["state"] == "success", airflow.told(DAG, run_id)
