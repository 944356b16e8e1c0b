"""A source that keeps what it held: a past date gets the data of then, and only a change is news."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.system.airflow import Airflow
from tests.system.with_airflow.conftest import AtStart, up
from tests.waiting import wait_for

WATCH, DATED = "watch_dated", "retrain_dated"


@pytest.fixture(scope="module")
def past_run(installed: Airflow, at_start: AtStart) -> str:
    """The id of a run for a day of the past, by a contract that does not hold, at its end."""
    airflow = up(installed)
    airflow.switch_on(DATED)
    days = {"from_date": "2026-11-05T00:00:00Z", "to_date": "2026-11-05T23:00:00Z"}
    body = {"dag_id": DATED, "max_active_runs": 1, **days}
    # On SQLite Airflow answers 503 while its scheduler writes, and 409 if the backfill was made all the same.
    wait_for(lambda: airflow.ask("POST", "/api/v2/backfills", body)[0] in (200, 409), "the backfill", look_s=0.5)
    [run] = wait_for(
        lambda: [run for run in airflow.runs(DATED) if run["run_type"] == "backfill"], "the backfill's run", look_s=0.5
    )
    airflow.switch_on(WATCH)  # its first look comes while this run goes on: see `watching`
    airflow.ended(DATED, run["dag_run_id"])
    return str(run["dag_run_id"])


def test_a_broken_contract_is_red_at_once_and_says_which_expectation(airflow: Airflow, past_run: str) -> None:
    run = airflow.run(DATED, past_run)
    assert run["state"] == "failed"
    assert "expect_table_row_count_to_be_between" in run["note"], run["note"]
    check = airflow.tasks(DATED, past_run)["check_raw"]
    assert (check["state"], check["try_number"]) == ("failed", 1)


def test_the_log_of_a_broken_contract_has_the_commands_own_line(airflow: Airflow, past_run: str) -> None:
    said = airflow.log(DATED, past_run, "check_raw")
    assert any(line.startswith("ratchet: ") and "expect_table_row_count" in line for line in said)


def test_a_past_date_gets_the_data_of_then(airflow: Airflow, past_run: str) -> None:
    recipe = yaml.safe_load((airflow.kept(DATED, past_run) / "params.yaml").read_text())
    assert recipe["ingest"] == {"as_of": "2026-11-05"}


@pytest.fixture(scope="module")
def watching(installed: Airflow, past_run: str) -> Iterator[Airflow]:
    """Airflow, looking each minute whether the source has changed, once the first look is over."""
    airflow = up(installed)
    runs = wait_for(lambda: airflow.runs(WATCH), "a first look", look_s=0.5)
    assert airflow.ended(WATCH, runs[0]["dag_run_id"])["state"] == "success"
    yield airflow
    airflow.switch_off(WATCH)
    for run in airflow.runs(DATED):
        airflow.ended(DATED, run["dag_run_id"])
    airflow.switch_off(DATED)  # not before: Airflow lets the runs of a paused DAG lie


def test_a_source_that_has_not_changed_or_was_merely_touched_is_no_news(watching: Airflow) -> None:
    assert look(watching) == "skipped"
    labels_of(watching).touch()
    assert look(watching) == "skipped"


def test_a_source_that_has_really_changed_updates_its_asset_once_and_starts_a_run(watching: Airflow) -> None:
    labels = labels_of(watching)
    labels.write_bytes(labels.read_bytes() + b"\0")
    assert "success" in {look(watching), look(watching)}  # its own schedule may have looked in between
    events = watching.call("GET", "/api/v2/assets/events?limit=100")["asset_events"]
    assert [event["name"] for event in events].count("dated_source") == 2  # the first look, and this change
    wait_for(
        lambda: [run for run in watching.runs(DATED) if run["run_type"] == "asset_triggered"], "its run", look_s=0.5
    )


def look(airflow: Airflow) -> str:
    """Have the source looked at; return how the task has ended."""
    run_id = airflow.trigger(WATCH)
    airflow.ended(WATCH, run_id)
    return airflow.states(WATCH, run_id)["look"]


def labels_of(airflow: Airflow) -> Path:
    return next((airflow.project.root / "dated" / "2026-11-10").glob("t10k-labels*"))
