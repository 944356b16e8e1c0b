"""When a config's DAG runs: by the clock, on new data, both, or by hand; and the sweep's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pendulum
import pytest
from airflow.sdk import AssetOrTimeSchedule
from airflow.timetables import trigger
from airflow.timetables.base import DagRunInfo

from dags.schedules import cron
from tests.dags.conftest import Checkout, kept


def sources(dag: Any) -> list[str]:
    """The assets that a DAG waits for."""
    return [asset.uri for _, asset in kept(dag).timetable.asset_condition.iter_assets()]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Say what time it is for Airflow's timetables, in UTC."""
    return lambda now: monkeypatch.setattr(trigger, "utcnow", lambda: pendulum.parse(now))


def test_a_cron_expression_alone(checkout: Checkout) -> None:
    checkout.config(schedule="15 3 * * 1-5")
    assert checkout.dag("retrain_one").timetable == cron("15 3 * * 1-5", "")


def test_new_data_alone(checkout: Checkout) -> None:
    checkout.config(watch="*/5 * * * *")
    bag = checkout.bag()
    assert bag.import_errors == {}
    assert sources(bag.dags["retrain_one"]) == ["ratchet://one/source"]
    assert kept(bag.dags["watch_one"]).timetable.summary == "*/5 * * * *"


def test_both(checkout: Checkout) -> None:
    checkout.config(schedule="0 2 * * *", watch="@hourly")
    dag = checkout.dag("retrain_one")
    assert isinstance(dag.timetable, AssetOrTimeSchedule)
    assert dag.timetable.timetable == cron("0 2 * * *", "")
    assert sources(dag) == ["ratchet://one/source"]


@pytest.mark.parametrize("watch", [None, "@hourly"])
@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-28T01:59:59", "2026-11-28T02:00:00"),
        ("2026-11-28T02:00:50", "2026-11-28T02:00:00"),  # due, and Airflow has read the file again meanwhile
        ("2026-11-28T02:01:10", "2026-11-29T02:00:00"),
        ("2026-11-28T14:00:00", "2026-11-29T02:00:00"),
    ],
)
def test_a_dag_that_is_switched_on_waits_for_its_next_date(
    checkout: Checkout, clock: Callable[[str], None], watch: str | None, now: str, due: str
) -> None:
    checkout.config(schedule="0 2 * * *", **({"watch": watch} if watch else {}))
    dag = kept(checkout.dag("retrain_one"))
    clock(now)
    info = dag.next_dagrun_info(last_automated_run_info=None)
    assert (info.run_after, info.logical_date) == (datetime.fromisoformat(f"{due}+00:00"),) * 2


def test_a_date_that_was_missed_while_airflow_was_off_is_made_up_for_once(
    checkout: Checkout, clock: Callable[[str], None]
) -> None:
    checkout.config(schedule="0 2 * * *")
    dag = kept(checkout.dag("retrain_one"))
    clock("2026-11-28T14:00:00")
    info = dag.next_dagrun_info(last_automated_run_info=DagRunInfo.exact(pendulum.datetime(2026, 11, 20, 2)))
    assert info.run_after == datetime(2026, 11, 28, 2, tzinfo=UTC)


def test_neither(checkout: Checkout) -> None:
    checkout.config()
    bag = checkout.bag()
    assert not bag.dags["retrain_one"].timetable.can_be_scheduled
    assert "watch_one" not in bag.dags


def test_the_sweep_runs_every_hour_and_one_at_a_time(shipped: Any) -> None:
    dag = shipped.dags["ratchet_sweep"]
    assert (kept(dag).timetable.summary, dag.max_active_runs, dag.catchup) == ("30 * * * *", 1, False)
    assert dag.task_ids == ["sweep"]
