"""Two runs at once: two candidates, and one champion by the gate."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
import yaml

from tests.system.airflow import Airflow
from tests.system.with_airflow.conftest import AtStart, FirstRun, up
from tests.system.with_airflow.project_of_airflow import DAG

RATES = {"good": 0.006, "bad": 1e-6}


@dataclass(frozen=True)
class Pair:
    """The ids of two runs that went on at once, at their end: one that learns, and one that cannot."""

    good: str
    bad: str


@pytest.fixture(scope="module")
def pair(installed: Airflow, at_start: AtStart, first_run: FirstRun) -> Pair:
    airflow = up(installed)
    pair = Pair(
        airflow.trigger(DAG, train__learning_rate=RATES["good"]),
        airflow.trigger(DAG, train__learning_rate=RATES["bad"], train__epochs=1),
    )
    for run_id in (pair.good, pair.bad):
        assert airflow.ended(DAG, run_id)["state"] == "success", airflow.told(DAG, run_id)
    return pair


def test_the_good_one_is_promoted_and_the_bad_one_refused(airflow: Airflow, pair: Pair) -> None:
    assert airflow.run(DAG, pair.good)["note"].startswith("promoted:")
    assert airflow.run(DAG, pair.bad)["note"].startswith("refused: accuracy")
    assert airflow.states(DAG, pair.bad)["register"] == "skipped"


def test_both_are_in_the_registry_and_the_good_one_is_its_champion(airflow: Airflow, pair: Pair) -> None:
    listed = json.loads(airflow.project.ratchet("registry", "list", "--json").stdout)
    versions = [version for version in listed if version["name"] == "digits"]
    assert {version["outcome"] for version in versions if version["version"] > 1} == {"promote", "refuse"}
    [champion] = [version for version in versions if "champion" in version["aliases"]]
    verdict = json.loads((airflow.kept(DAG, pair.good) / "reports" / "verdict.json").read_text())
    assert champion["digest"] == verdict["candidate"]


def test_the_refused_candidate_is_made_known_with_its_version(airflow: Airflow, pair: Pair) -> None:
    run = airflow.kept(DAG, pair.bad)
    events = airflow.call("GET", "/api/v2/assets/events?limit=100")["asset_events"]
    [refused] = [
        event["extra"] for event in events if event["extra"].get("run") == run.name and "outcome" in event["extra"]
    ]
    registration = json.loads((run / "reports" / "registration.json").read_text())
    assert (refused["outcome"], refused["version"]) == ("refuse", registration["version"])


def test_both_are_closed_and_each_candidate_is_made_known_once(airflow: Airflow, pair: Pair) -> None:
    events = airflow.call("GET", "/api/v2/assets/events?limit=100")["asset_events"]
    of = [event["extra"]["run"] for event in events if event["name"] == "digits_candidate"]
    for run_id in (pair.good, pair.bad):
        assert airflow.states(DAG, run_id)["close"] == "success"
        assert of.count(airflow.kept(DAG, run_id).name) == 1


def test_each_keeps_the_recipe_that_it_was_asked_for(airflow: Airflow, pair: Pair) -> None:
    for name, run_id in (("good", pair.good), ("bad", pair.bad)):
        recipe = yaml.safe_load((airflow.kept(DAG, run_id) / "params.yaml").read_text())
        assert recipe["train"]["learning_rate"] == RATES[name]
