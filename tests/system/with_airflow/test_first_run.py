"""A first run by Airflow: promoted, and told in every place where a person looks."""

from __future__ import annotations

import json
from urllib.parse import quote

from pipeline.graph import load_graph
from tests.system import shipped
from tests.system.airflow import Airflow
from tests.system.with_airflow.conftest import AtStart, FirstRun
from tests.system.with_airflow.project_of_airflow import CONFIGS, DAG


def test_the_dags_are_those_of_the_configs_and_nothing_is_switched_on_by_itself(at_start: AtStart) -> None:
    assert set(at_start.dags) == {
        *(f"retrain_{name}" for name in (*CONFIGS, *shipped.CONFIGS)),
        *("watch_dated", "ratchet_sweep", "imports", "sleeps"),
    }
    assert at_start.dags[DAG]["owners"] == ["tests"]
    assert {tag["name"] for tag in at_start.dags[DAG]["tags"]} == {"digits", "ratchet"}
    assert {name for name, dag in at_start.dags.items() if not dag["is_paused"]} == {"ratchet_sweep"}
    assert at_start.import_errors == []


def test_a_first_run_is_promoted_and_says_so(airflow: Airflow, first_run: FirstRun) -> None:
    run = airflow.run(DAG, first_run.id)
    assert run["note"].startswith("promoted: accuracy")
    stages = {stage.name for stage in load_graph(airflow.project.root).stages}
    assert airflow.states(DAG, first_run.id) == dict.fromkeys([*stages, "open", "close"], "success")
    [version] = first_run.versions
    assert version["aliases"] == ["champion"]
    kept = airflow.kept(DAG, first_run.id)
    assert {path.name for path in kept.iterdir()} >= {"params.yaml", "dvc.lock", "reports", "record.json"}
    assert not first_run.is_workspace_left


def test_a_listed_run_says_what_every_list_of_runs_says(airflow: Airflow, first_run: FirstRun) -> None:
    [run] = [
        r
        for r in json.loads(airflow.project.ratchet("runs", "list", "--json").stdout)
        if r["folder"].endswith(airflow.kept(DAG, first_run.id).name)
    ]
    assert (run["driver"], run["state"], run["outcome"]) == ("airflow", "success", "promote")
    assert run["start"]


def test_a_log_streams_readable_progress(airflow: Airflow, first_run: FirstRun) -> None:
    lines = airflow.log(DAG, first_run.id, "train")
    assert any(line.startswith("train: ") and ": validation loss " in line for line in lines), lines
    assert any("1 797 rows, 10 labels" in line for line in airflow.log(DAG, first_run.id, "ingest"))


def test_what_was_asked_is_plain_text_in_the_record_and_the_report(airflow: Airflow, first_run: FirstRun) -> None:
    record = json.loads((airflow.kept(DAG, first_run.id) / "record.json").read_text())
    assert record["reason"] == "the {{ 7 * 7 }} first $(touch injected); touch injected"
    assert "{{ 7 * 7 }} first" in (airflow.kept(DAG, first_run.id) / "reports" / "index.html").read_text()
    assert not list(airflow.project.root.rglob("injected"))


def test_the_report_is_served_to_those_who_may_read_the_run(airflow: Airflow, first_run: FirstRun) -> None:
    page = f"/ratchet/dags/{DAG}/runs/{quote(first_run.id, safe='')}/reports/index.html"
    status, text = airflow.ask("GET", page)
    assert status == 200
    assert "promote" in text.lower()
    assert airflow.ask("GET", page, token=False)[0] == 401
    assert airflow.ask("GET", page.replace("index.html", "..%2Frecord.json"))[0] == 404
    documents = (airflow.kept(DAG, first_run.id) / "reports" / "contracts").rglob("index.html")
    path = next(documents).relative_to(airflow.kept(DAG, first_run.id))
    assert airflow.ask("GET", page.replace("reports/index.html", str(path)))[0] == 200


def test_its_outcome_its_links_and_the_champions_are_shown(airflow: Airflow, first_run: FirstRun) -> None:
    status, outcomes = airflow.ask("GET", f"/ratchet/dags/{DAG}/outcomes")
    assert status == 200
    assert " promoted</span>" in outcomes
    assert first_run.id.replace("+", "&#43;") in outcomes or first_run.id in outcomes
    status, champions = airflow.ask("GET", "/ratchet/reports/champions.html")
    assert status == 200
    assert "digits" in champions
    run = quote(first_run.id, safe="")
    assert "v1 of digits" in airflow.ask("GET", f"/ratchet/dags/{DAG}/runs/{run}/registry")[1]
    links = airflow.call("GET", f"/api/v2/dags/{DAG}/dagRuns/{run}/taskInstances/close/links")["extra_links"]
    assert links["Report"] == f"{airflow.base}/ratchet/dags/{DAG}/runs/{run}/reports/index.html"
    assert (
        links["Registered version"] == links["TensorBoard"] == f"{airflow.base}/dags/{DAG}/runs/{run}/plugin/registry"
    )


def test_the_outcomes_are_assets_with_version_and_metrics(airflow: Airflow, first_run: FirstRun) -> None:
    events = {event["name"]: event for event in airflow.call("GET", "/api/v2/assets/events?limit=100")["asset_events"]}
    champion, candidate, prepared = (
        events[f"digits_{name}"]["extra"] for name in ("champion", "candidate", "prepared")
    )
    assert champion["version"] == candidate["version"] == 1
    assert champion["metrics"]["accuracy"] == candidate["metrics"]["accuracy"] > 0.8
    assert candidate["outcome"] == "promote"
    assert sum(prepared["rows"].values()) > 1000


def test_a_run_with_nothing_new_ends_at_its_head(airflow: Airflow, first_run: FirstRun) -> None:
    run_id = airflow.trigger(DAG)
    done = airflow.ended(DAG, run_id)
    states = airflow.states(DAG, run_id)
    assert done["state"] == states.pop("open") == "success"
    assert set(states.values()) == {"skipped"}
    assert done["note"].startswith("nothing to do: nothing changed since run")
