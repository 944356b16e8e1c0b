"""When a config's DAG runs: by the clock, on new data, both, or by hand; and the sweep's."""

from __future__ import annotations

from typing import Any

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable

from tests.dags.conftest import Checkout, kept


def sources(dag: Any) -> list[str]:
    """The assets that a DAG waits for."""
    return [asset.uri for _, asset in kept(dag).timetable.asset_condition.iter_assets()]


def test_a_cron_expression_alone(checkout: Checkout) -> None:
    checkout.config(schedule="15 3 * * 1-5")
    assert checkout.dag("retrain_one").timetable == CronTriggerTimetable("15 3 * * 1-5", timezone="UTC")


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
    assert dag.timetable.timetable == CronTriggerTimetable("0 2 * * *", timezone="UTC")
    assert sources(dag) == ["ratchet://one/source"]


def test_neither(checkout: Checkout) -> None:
    checkout.config()
    bag = checkout.bag()
    assert not bag.dags["retrain_one"].timetable.can_be_scheduled
    assert "watch_one" not in bag.dags


def test_the_sweep_runs_daily_and_one_at_a_time(shipped: Any) -> None:
    dag = shipped.dags["ratchet_sweep"]
    assert (kept(dag).timetable.summary, dag.max_active_runs, dag.catchup) == ("30 3 * * *", 1, False)
    assert dag.task_ids == ["sweep"]
