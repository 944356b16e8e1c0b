"""Airflow, the real one, on the digits: what a person who is called at night relies on."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
import yaml

from pipeline.graph import load_graph
from tests.system.airflow import Airflow, running, wait_for
from tests.system.project import Project, make_project, write_digits

DAG = "retrain_digits"
_GONE_S = 10.0
_CONFIGS: dict[str, dict[str, Any]] = {
    "digits": {"description": "the digits", "owner": "tests", "tags": ["digits"]},
    "nightly": {"description": "the digits, every night", "schedule": "0 2 * * *"},
    "approved": {
        "description": "a person says yes or no",
        "approval": {"deadline_hours": 1},
        "recipe": {"name": "approved"},
    },
    # Its contract asks for more rows than any of its snapshots has: quick to run, and red.
    "dated": {
        "description": "a source that keeps what it held",
        "schedule": "0 3 * * *",
        "watch": "* * * * *",
        "recipe": {"name": "dated", "data": {"path": "dated", "contracts": "data_contracts/strict"}},
    },
}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    project = make_project(tmp_path_factory.mktemp("airflow") / "project")
    _add_configs(project)
    with running(project) as airflow:
        yield airflow
    wait_for(lambda: not project.processes(), _GONE_S, "no process is left", lambda: str(project.processes()))


def _add_configs(project: Project) -> None:
    root = project.root
    shutil.rmtree(root / "configs")
    (root / "configs").mkdir()
    for name, config in _CONFIGS.items():
        (root / "configs" / f"{name}.yaml").write_text(yaml.safe_dump(config))
    for day in ("2026-11-01", "2026-11-10"):
        write_digits(root / "dated" / day)
    strict = root / "data_contracts" / "strict"
    shutil.copytree(root / "data_contracts" / "digits", strict)
    raw = yaml.safe_load((strict / "raw.yaml").read_text())
    for expectation in raw["expectations"]:
        if expectation["type"] == "expect_table_row_count_to_be_between":
            expectation["kwargs"] |= {"min_value": 100_000, "max_value": 200_000}
    (strict / "raw.yaml").write_text(yaml.safe_dump(raw))


@pytest.fixture(scope="module")
def first(airflow: Airflow) -> str:
    """The id of a triggered run that made the first champion, from an empty cache."""
    airflow.switch_on(DAG)
    run_id = airflow.trigger(DAG, reason="the {{ 7 * 7 }} first $(touch injected); touch injected")
    done = airflow.ended(DAG, run_id)
    assert done["state"] == "success", airflow.told(DAG, run_id)
    return run_id


def test_the_dags_are_those_of_the_configs_and_nothing_is_switched_on_by_itself(airflow: Airflow) -> None:
    dags = {dag["dag_id"]: dag for dag in airflow.call("GET", "/api/v2/dags")["dags"]}
    assert set(dags) == {*(f"retrain_{name}" for name in _CONFIGS), "watch_dated", "ratchet_sweep"}
    assert dags[DAG]["owners"] == ["tests"]
    assert {tag["name"] for tag in dags[DAG]["tags"]} == {"digits", "ratchet"}
    assert dags["retrain_nightly"]["is_paused"]
    assert airflow.call("GET", "/api/v2/importErrors")["import_errors"] == []


def test_a_first_run_is_promoted_and_says_so(airflow: Airflow, first: str) -> None:
    run = airflow.run(DAG, first)
    assert run["note"].startswith("promoted: accuracy")
    stages = {stage.name for stage in load_graph(airflow.project.root).stages}
    assert airflow.states(DAG, first) == dict.fromkeys([*stages, "open", "close"], "success")
    [version] = json.loads(airflow.project.ratchet("registry", "list", "--json").stdout)
    assert version["aliases"] == ["champion"]
    kept = airflow.kept(DAG, first)
    assert {path.name for path in kept.iterdir()} >= {"params.yaml", "dvc.lock", "reports", "record.json"}
    assert not list((airflow.project.root / ".worktrees").iterdir())


def test_a_listed_run_says_what_every_list_of_runs_says(airflow: Airflow, first: str) -> None:
    [run] = [
        r
        for r in json.loads(airflow.project.ratchet("runs", "list", "--json").stdout)
        if r["folder"].endswith(airflow.kept(DAG, first).name)
    ]
    assert (run["driver"], run["state"], run["outcome"]) == ("airflow", "success", "promote")
    assert run["start"]


def test_a_log_streams_readable_progress(airflow: Airflow, first: str) -> None:
    lines = airflow.log(DAG, first, "train")
    assert any(line.startswith("train: ") and "validation accuracy" in line for line in lines), lines
    assert any("1 797 images, 10 labels" in line for line in airflow.log(DAG, first, "ingest"))


def test_what_was_asked_is_plain_text_in_the_record_and_the_report(airflow: Airflow, first: str) -> None:
    record = json.loads((airflow.kept(DAG, first) / "record.json").read_text())
    assert record["reason"] == "the {{ 7 * 7 }} first $(touch injected); touch injected"
    assert "{{ 7 * 7 }} first" in (airflow.kept(DAG, first) / "reports" / "index.html").read_text()
    assert not list(airflow.project.root.rglob("injected"))


def test_the_report_is_served_to_those_who_may_read_the_run(airflow: Airflow, first: str) -> None:
    page = f"/ratchet/dags/{DAG}/runs/{quote(first, safe='')}/reports/index.html"
    status, text = airflow.ask("GET", page)
    assert status == 200
    assert "promote" in text.lower()
    assert airflow.ask("GET", page, token=False)[0] == 401
    assert airflow.ask("GET", page.replace("index.html", "..%2Frecord.json"))[0] == 404
    documents = (airflow.kept(DAG, first) / "reports" / "contracts").rglob("index.html")
    path = next(documents).relative_to(airflow.kept(DAG, first))
    assert airflow.ask("GET", page.replace("reports/index.html", str(path)))[0] == 200


def test_the_outcomes_are_assets_with_version_and_metrics(airflow: Airflow, first: str) -> None:
    events = {event["name"]: event for event in airflow.call("GET", "/api/v2/assets/events?limit=100")["asset_events"]}
    champion, candidate, prepared = (
        events[f"digits_{name}"]["extra"] for name in ("champion", "candidate", "prepared")
    )
    assert champion["version"] == candidate["version"] == 1
    assert champion["metrics"]["accuracy"] == candidate["metrics"]["accuracy"] > 0.8
    assert candidate["outcome"] == "promote"
    assert sum(prepared["rows"].values()) > 1000


def test_a_run_with_nothing_new_ends_at_its_head(airflow: Airflow, first: str) -> None:
    run_id = airflow.trigger(DAG)
    done = airflow.ended(DAG, run_id, 60)
    states = airflow.states(DAG, run_id)
    assert done["state"] == states.pop("open") == "success"
    assert set(states.values()) == {"skipped"}
    assert done["note"].startswith("nothing to do: nothing changed since run")


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ({"train.epochs": 0}, "less than the minimum"),
        ({"train.epochs": "3; rm -rf /"}, "is not of type"),
        ({"train.optimizer": "adamm"}, "is not one of"),
        ({"reason": "x" * 2**20}, "is too long"),
        ({"data.path": "x" * 2**20}, "is too long"),
    ],
)
def test_a_wrong_value_is_refused_in_the_form(airflow: Airflow, first: str, conf: dict[str, Any], said: str) -> None:
    status, text = airflow.ask("POST", f"/api/v2/dags/{DAG}/dagRuns", {"conf": conf, "logical_date": None})
    assert status == 400
    assert said in text


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ({"train.epoch": 3}, "unknown key (did you mean 'train.epochs'?)"),
        ({"overrides": ["train.epocs=3"]}, "unknown key (did you mean 'train.epochs'?)"),
        ({"overrides": ["$(touch injected)"]}, "expected KEY=VALUE"),
        ({"data.path": "$(touch injected)\n; touch injected"}, "does not exist"),
    ],
)
def test_what_the_form_cannot_know_fails_at_once_in_one_line(
    airflow: Airflow, first: str, conf: dict[str, Any], said: str
) -> None:
    run_id = str(
        airflow.call("POST", f"/api/v2/dags/{DAG}/dagRuns", {"conf": conf, "logical_date": None})["dag_run_id"]
    )
    done = airflow.ended(DAG, run_id, 60)
    assert done["state"] == "failed"
    assert said in done["note"]
    assert airflow.tasks(DAG, run_id)["open"]["try_number"] == 1
    assert not list(airflow.project.root.rglob("injected"))


def test_every_driver_leaves_the_same_lock(airflow: Airflow, first: str) -> None:
    project, root = airflow.project, airflow.project.root
    locks = {"triggered": (airflow.kept(DAG, first) / "dvc.lock").read_bytes()}

    def begin_anew() -> None:
        # Every one of them meets an empty registry, as the first did.
        shutil.rmtree(root / "registry")
        shutil.rmtree(root / ".ratchet", ignore_errors=True)

    begin_anew()
    airflow.switch_on("retrain_nightly")  # its last date has not run yet: the scheduler makes that run now
    [scheduled] = wait_for(lambda: airflow.runs("retrain_nightly"), 60, "the scheduled run")
    assert scheduled["run_type"] == "scheduled"
    assert airflow.ended("retrain_nightly", scheduled["dag_run_id"])["state"] == "success"
    locks["scheduled"] = (airflow.kept("retrain_nightly", scheduled["dag_run_id"]) / "dvc.lock").read_bytes()

    begin_anew()
    (root / ".dvc" / "cache").rename(root / "cache_of_airflow")  # so that everything is made again, not fetched
    done = project.ratchet("run")
    assert done.returncode == 0, done.stderr
    locks["ratchet run"] = (root / "dvc.lock").read_bytes()

    begin_anew()
    for name in ("data", "models", "reports"):
        shutil.rmtree(root / name)
    (root / "dvc.lock").unlink()
    done = project.call("dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    locks["dvc repro"] = (root / "dvc.lock").read_bytes()
    (root / "dvc.lock").unlink()
    assert len(set(locks.values())) == 1, {driver: len(lock) for driver, lock in locks.items()}


def test_two_runs_at_once_give_two_candidates_and_one_champion_by_the_gate(airflow: Airflow, first: str) -> None:
    good = airflow.trigger(DAG, train__learning_rate=0.006)
    bad = airflow.trigger(DAG, train__learning_rate=1e-6, train__epochs=1)
    done = {name: airflow.ended(DAG, run_id, 600) for name, run_id in (("good", good), ("bad", bad))}
    assert {run["state"] for run in done.values()} == {"success"}, airflow.told(DAG, good) + airflow.told(DAG, bad)
    assert done["good"]["note"].startswith("promoted:")
    assert done["bad"]["note"].startswith("refused: accuracy")
    assert airflow.states(DAG, bad)["register"] == "skipped"
    versions = json.loads(airflow.project.ratchet("registry", "list", "--json").stdout)
    outcomes = {version["outcome"] for version in versions if version["version"] > 1}
    assert outcomes == {"promote", "refuse"}
    [champion] = [version for version in versions if "champion" in version["aliases"]]
    kept = json.loads((airflow.kept(DAG, good) / "reports" / "verdict.json").read_text())
    assert champion["digest"] == kept["candidate"]
    events = airflow.call("GET", "/api/v2/assets/events?limit=100")["asset_events"]
    refused = [event["extra"] for event in events if event["extra"].get("outcome") == "refuse"]
    assert len(refused) == 1
    assert refused[0]["version"] is not None
    recipes = [yaml.safe_load((airflow.kept(DAG, run_id) / "params.yaml").read_text()) for run_id in (good, bad)]
    assert [recipe["train"]["learning_rate"] for recipe in recipes] == [0.006, 1e-6]


def test_a_task_killed_in_the_ui_leaves_nothing_and_the_next_try_succeeds(airflow: Airflow, first: str) -> None:
    run_id = airflow.trigger(DAG, seed=7)

    def java() -> list[psutil.Process]:
        return [process for process in airflow.processes() if "java" in process.name()]

    wait_for(lambda: airflow.states(DAG, run_id)["normalize"] == "running" and java(), 120, "Spark in normalize")
    airflow.set_state(DAG, run_id, "normalize", "failed")
    started_s = time.monotonic()
    wait_for(
        lambda: not airflow.processes(), _GONE_S, "no process of the task is left", lambda: str(airflow.processes())
    )
    assert time.monotonic() - started_s < _GONE_S
    assert airflow.ended(DAG, run_id, 60)["state"] == "failed"
    [workspace] = (airflow.project.root / ".worktrees").iterdir()  # kept for whoever looks for the cause
    airflow.clear(DAG, run_id)

    # One rank of the training is lost: tried again, from the checkpoint.
    wait_for(lambda: airflow.states(DAG, run_id)["train"] == "running", 200, "train", lambda: airflow.told(DAG, run_id))
    wait_for(
        lambda: list(workspace.glob(".ratchet/checkpoints/*/*")), 90, "a checkpoint", lambda: airflow.told(DAG, run_id)
    )
    ranks = [process for process in airflow.processes() if "pipeline.launching.worker" in " ".join(process.cmdline())]
    ranks[0].send_signal(signal.SIGKILL)

    # The scheduler is killed while the model is judged.
    wait_for(
        lambda: airflow.states(DAG, run_id)["evaluate"] == "running", 200, "evaluate", lambda: airflow.told(DAG, run_id)
    )
    assert airflow.tasks(DAG, run_id)["train"]["try_number"] >= 2
    wait_for(
        lambda: any(
            "ratchet stage evaluate" in " ".join(p.cmdline()) or "evaluate" in " ".join(p.cmdline())
            for p in airflow.processes()
        ),
        60,
        "the stage",
    )
    scheduler = [p for p in airflow.project.processes() + _airflow_parts(airflow) if _is_scheduler(p)]
    assert scheduler
    scheduler[0].send_signal(signal.SIGKILL)
    wait_for(
        lambda: not airflow.processes(), _GONE_S, "no process of the task is left", lambda: str(airflow.processes())
    )
    airflow.stop()
    airflow.start()
    done = airflow.ended(DAG, run_id, 300)
    assert done["state"] == "success", airflow.told(DAG, run_id)
    assert not workspace.exists()


def _airflow_parts(airflow: Airflow) -> list[psutil.Process]:
    home = str(airflow.project.root / ".airflow")
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("AIRFLOW_HOME") == home:
                found.append(process)
        except psutil.Error:
            continue
    return found


def _is_scheduler(process: psutil.Process) -> bool:
    try:
        command = process.cmdline()
    except psutil.Error:
        return False
    return len(command) > 1 and "scheduler" in command and any(Path(word).name == "airflow" for word in command[:2])


def test_a_person_says_no_and_a_person_says_yes(airflow: Airflow, first: str) -> None:
    dag = "retrain_approved"
    airflow.switch_on(dag)
    for answer, registered, note in (("Reject", "skipped", "not approved"), ("Approve", "success", "promoted")):
        rows = 128 if answer == "Reject" else 96  # another question to the gate, so that it is asked again
        run_id = airflow.trigger(dag, gate__parity__rows=rows)
        path = f"/api/v2/dags/{dag}/dagRuns/{quote(run_id)}/taskInstances/approve/-1/hitlDetails"
        wait_for(
            lambda run_id=run_id: airflow.states(dag, run_id)["approve"] == "awaiting_input",
            300,
            "the question",
            lambda run_id=run_id: airflow.told(dag, run_id),
        )
        question = airflow.call("GET", path)
        assert "PROMOTE" in question["body"]
        assert question["defaults"] == ["Reject"]
        # Airflow 3.3.2 fails a task that is answered in the moment in which it begins to wait; no person is that quick.
        time.sleep(5)
        airflow.call("PATCH", path, {"chosen_options": [answer]})
        done = airflow.ended(dag, run_id, 120)
        assert done["state"] == "success", airflow.told(dag, run_id)
        assert airflow.states(dag, run_id)["register"] == registered
        assert done["note"].startswith(note)


def test_a_broken_contract_is_red_at_once_and_a_past_date_gets_the_data_of_then(airflow: Airflow) -> None:
    dag = "retrain_dated"
    airflow.call("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False})
    body = {"dag_id": dag, "from_date": "2026-11-05T00:00:00Z", "to_date": "2026-11-05T23:00:00Z", "max_active_runs": 1}
    # On SQLite Airflow answers 503 while its scheduler writes, and 409 if the backfill was made all the same.
    wait_for(lambda: airflow.ask("POST", "/api/v2/backfills", body)[0] in (200, 409), 90, "the backfill")
    [backfill] = wait_for(
        lambda: [run for run in airflow.runs(dag) if run["run_type"] == "backfill"], 60, "the backfill's run"
    )
    done = airflow.ended(dag, backfill["dag_run_id"], 200)
    assert done["state"] == "failed"
    assert "expect_table_row_count_to_be_between" in done["note"], done["note"]
    tasks = airflow.tasks(dag, backfill["dag_run_id"])
    assert (tasks["check_raw"]["state"], tasks["check_raw"]["try_number"]) == ("failed", 1)
    kept = airflow.kept(dag, backfill["dag_run_id"])
    assert yaml.safe_load((kept / "params.yaml").read_text())["ingest"] == {"as_of": "2026-11-05"}
    said = airflow.log(dag, backfill["dag_run_id"], "check_raw")
    assert any(line.startswith("ratchet: ") and "expect_table_row_count" in line for line in said)


def test_the_asset_is_updated_when_the_source_has_really_changed(airflow: Airflow) -> None:
    dag = "watch_dated"

    def look() -> str:
        run_id = airflow.trigger(dag)
        airflow.ended(dag, run_id, 60)
        return airflow.states(dag, run_id)["look"]

    airflow.switch_on(dag)
    wait_for(lambda: airflow.runs(dag) and all(run["state"] == "success" for run in airflow.runs(dag)), 90, "a look")
    assert look() == "skipped"
    changed = next((airflow.project.root / "dated" / "2026-11-10").glob("t10k-labels*"))
    changed.touch()
    assert look() == "skipped"
    changed.write_bytes(changed.read_bytes() + b"\0")
    assert "success" in {look(), look()}  # its own schedule may have looked in between
    events = [
        e for e in airflow.call("GET", "/api/v2/assets/events?limit=100")["asset_events"] if e["name"] == "dated_source"
    ]
    assert len(events) == 2
    by_asset = wait_for(
        lambda: [run for run in airflow.runs("retrain_dated") if run["run_type"] == "asset_triggered"], 60, "its run"
    )
    assert by_asset


def test_a_broken_config_disables_its_own_dag_only(airflow: Airflow) -> None:
    broken = airflow.project.root / "configs" / "broken.yaml"
    broken.write_text("recipe:\n  train: {epochz: 3}\n")
    try:
        errors = wait_for(lambda: airflow.call("GET", "/api/v2/importErrors")["import_errors"], 60, "the import error")
        assert len(errors) == 1
        assert "configs/broken.yaml" in errors[0]["stack_trace"]
        assert "train.epochz" in errors[0]["stack_trace"]
        assert "\n" not in errors[0]["stack_trace"].strip()
        assert airflow.call("GET", f"/api/v2/dags/{DAG}")["has_import_errors"] in (True, False)
        assert airflow.ended(DAG, airflow.trigger(DAG, train__epochs=0 + 1, reason="others run on"), 5 * 60)
    finally:
        broken.unlink()
    wait_for(lambda: not airflow.call("GET", "/api/v2/importErrors")["import_errors"], 60, "the error goes")
