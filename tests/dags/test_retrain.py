"""One DAG per config, read as Airflow's DAG processor reads it."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager
from airflow.serialization.serialized_objects import DagSerialization

from dags import assets
from dags.commands import RETRY_POLICY
from pipeline.graph import load_graph
from tests.dags.conftest import ROOT, Checkout, kept

CONFIGS = sorted(path.stem for path in (ROOT / "configs").glob("*.yaml"))


def written(name: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((ROOT / "configs" / f"{name}.yaml").read_text())
    return values


def edges(dag: Any) -> set[tuple[str, str]]:
    return {(task.task_id, child) for task in dag.tasks for child in task.downstream_task_ids}


def stage_edges(dag: Any) -> set[tuple[str, str]]:
    stages = {task.task_id for task in dag.tasks if kind(task) == "RunStage"}
    return {edge for edge in edges(dag) if stages.issuperset(edge)}


def kind(one: object) -> str:
    return type(one).__name__  # the class itself is the copy's


def test_every_config_makes_a_dag_and_nothing_else_does(shipped: Any) -> None:
    assert shipped.import_errors == {}
    watched = [name for name in CONFIGS if written(name).get("watch")]
    retrain, watch = {f"retrain_{name}" for name in CONFIGS}, {f"watch_{name}" for name in watched}
    score = {f"score_{name}" for name in CONFIGS if written(name).get("score")}
    assert set(shipped.dags) == {"ratchet_sweep"} | retrain | watch | score


@pytest.mark.parametrize("name", CONFIGS)
def test_a_dag_says_what_its_config_says(shipped: Any, name: str) -> None:
    said = written(name)
    dag = shipped.dags[f"retrain_{name}"]
    assert dag.description == said["description"]
    times = {f"{said['schedule']} UTC"} if said.get("watch") and said["schedule"] else set()
    assert dag.tags == {*said["tags"], *times, "ratchet"}
    assert dag.owner == said["owner"]
    when = ["Asset" if said.get("watch") else None, said["schedule"]]
    assert kept(dag).timetable.summary == (" or ".join(filter(None, when)) or "None")
    assert said["description"] in dag.doc_md
    for fact in (dag.params["name"], dag.params["data.path"], said["schedule"], said.get("watch")):
        assert fact is None or f"`{fact}`" in dag.doc_md
    for stage in load_graph(ROOT).stages:
        assert f"| {stage.name} | {stage.description} |" in dag.doc_md


def test_a_dag_starts_nothing_by_itself_for_the_time_before_it_was_there(shipped: Any) -> None:
    dag = shipped.dags["retrain_fashion_mnist"]
    assert not dag.catchup


def test_the_edges_between_stages_are_those_that_dvc_draws(checkout: Checkout, shipped: Any) -> None:
    (checkout.root / ".dvc").mkdir()
    checkout.write(".dvc/config", "[core]\n    no_scm = true\n    analytics = false\n")
    drawn = subprocess.run(
        [ROOT / ".venv" / "bin" / "dvc", "dag", "--dot"], cwd=checkout.root, capture_output=True, text=True, check=True
    ).stdout
    of_dvc = set(re.findall(r'^"(\w+)" -> "(\w+)";$', drawn, re.MULTILINE))
    assert len(of_dvc) > 10
    assert stage_edges(shipped.dags["retrain_fashion_mnist"]) == of_dvc


def test_opening_and_closing_stand_around_the_stages(shipped: Any) -> None:
    dag = shipped.dags["retrain_fashion_mnist"]
    opening, closing = dag.get_task("open"), dag.get_task("close")
    assert (kind(opening), kind(closing)) == ("OpenRun", "CloseRun")
    assert (opening.is_setup, opening.is_teardown) == (True, False)
    assert (closing.is_setup, closing.is_teardown) == (False, True)
    assert closing.trigger_rule == "all_done"
    assert edges(dag) - stage_edges(dag) == {("open", "resolve"), ("open", "close"), ("register", "close")}


def test_a_run_is_red_if_its_closing_is_whatever_became_of_its_stages(shipped: Any) -> None:
    assert shipped.dags["retrain_fashion_mnist"].get_task("close").on_failure_fail_dagrun


def test_a_stage_stands_in_its_group_under_its_own_name(shipped: Any) -> None:
    dag = shipped.dags["retrain_fashion_mnist"]
    meta = {stage.name: stage.meta["group"] for stage in load_graph(ROOT).stages}
    assert {name: dag.get_task(name).task_group.group_id for name in meta} == meta


def test_hints_of_dvc_yaml_schedule_the_task(checkout: Checkout) -> None:
    hints = {"timeout_minutes": 5, "retries": 1, "pool": "gpus", "image": "ratchet:gpu"}
    checkout.edit("dvc.yaml", lambda graph: graph["stages"]["train"]["meta"].update(hints))
    train = checkout.dag("retrain_plain").get_task("train")
    assert (train.execution_timeout, train.retries, train.pool) == (timedelta(minutes=5), 1, "gpus")
    assert train.image == "ratchet:gpu"
    assert train.retry_policy.serialize() == RETRY_POLICY.serialize()


def test_a_stage_added_to_dvc_yaml_is_a_task(checkout: Checkout) -> None:
    before = edges(checkout.dag("retrain_plain"))
    explain = {"cmd": "ratchet stage explain", "deps": ["models/candidate"], "outs": ["x"]}
    checkout.edit("dvc.yaml", lambda values: values["stages"].update(explain=explain))
    after = edges(checkout.dag("retrain_plain"))
    assert after - before == {("train", "explain"), ("explain", "close")}
    assert before <= after


def test_everybody_is_told_once_of_a_failure_and_once_of_the_outcome(shipped: Any) -> None:
    dag = shipped.dags["retrain_fashion_mnist"]
    for task in dag.tasks:
        assert [kind(one) for one in task.on_failure_callback] == ["NotifyFailure"]
    told = {task.task_id: task.on_success_callback for task in dag.tasks if task.on_success_callback}
    assert [kind(one) for one in told.pop("close")] == ["NotifyVerdict"]
    assert told == {}


def test_what_a_run_makes_known_is_an_asset(shipped: Any) -> None:
    dag = shipped.dags["retrain_fashion_mnist"]
    outlets = {task.task_id: task.outlets for task in dag.tasks if task.outlets}
    assert outlets == {
        "check_prepared": [assets.prepared("fashion_mnist")],
        "register": [assets.champion("fashion_mnist")],
        "close": [assets.candidate("fashion_mnist")],
    }


def test_the_form_shows_the_configs_own_values(checkout: Checkout) -> None:
    checkout.config(recipe={"train": {"epochs": 2}, "name": "other"})
    dag = checkout.dag("retrain_one")
    assert dag.params.dump()["train.epochs"] == 2
    assert dag.params.dump()["name"] == "other"
    assert dag.get_task("register").outlets == [assets.champion("other")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda meta: meta.pop("asset", None), "nothing waits for it: no stage of dvc.yaml has `asset: champion`"),
        (lambda meta: meta.get("makes", {}).pop("verdict", None), "dvc.yaml: no stage makes the verdict; "),
    ],
)
def test_an_approval_that_nothing_could_follow_is_refused(checkout: Checkout, change: Any, said: str) -> None:
    checkout.config(approval={"deadline_hours": 48})
    checkout.edit("dvc.yaml", lambda values: [change(stage["meta"]) for stage in values["stages"].values()])
    [error] = checkout.bag().import_errors.values()
    assert f"configs/one.yaml: approval: {said}" in error


def test_an_approval_stands_between_the_gate_and_the_registration(checkout: Checkout) -> None:
    checkout.config(approval={"deadline_hours": 48})
    dag = checkout.dag("retrain_one")
    approve = dag.get_task("approve")
    register = load_graph(ROOT)["register"]
    assert approve.upstream_task_ids == {parent.name for parent in load_graph(ROOT).parents(register)} >= {"gate"}
    assert approve.downstream_task_ids == {"register"}
    assert dag.get_task("register").upstream_task_ids == {"approve"}
    assert approve.response_timeout == timedelta(hours=48)
    assert approve.defaults == ["Reject"]
    assert approve.task_group.group_id == dag.get_task("register").task_group.group_id
    assert "no answer within 48 h is a no" in dag.doc_md


def test_without_one_the_gate_decides(shipped: Any) -> None:
    assert "approve" not in shipped.dags["retrain_fashion_mnist"].task_ids


@pytest.mark.parametrize("extra", [{}, {"approval": {"deadline_hours": 1}, "watch": "@daily", "schedule": "@daily"}])
def test_a_dag_survives_being_kept(checkout: Checkout, extra: dict[str, Any]) -> None:
    checkout.config(**extra)
    dag = checkout.dag("retrain_one")
    again = kept(dag)
    assert set(again.task_ids) == set(dag.task_ids)
    assert {(t.task_id, child) for t in again.tasks for child in t.downstream_task_ids} == edges(dag)
    assert again.get_task("close").is_teardown
    assert again.params.dump() == dag.params.dump()
    assert again.get_task("train").has_retry_policy
    assert DagSerialization.to_dict(dag) == DagSerialization.to_dict(
        checkout.dag("retrain_one")
    )  # read anew: no change
    groups = [group.node_id for group in again.task_group.topological_sort()]  # the order in Airflow's grid
    assert (groups[0], groups[-1]) == ("open", "close")


def test_a_checkout_without_configs_has_nothing_to_retrain(checkout: Checkout) -> None:
    shutil.rmtree(checkout.root / "configs")
    bag = checkout.bag()
    assert (set(bag.dags), bag.import_errors) == ({"ratchet_sweep"}, {})


def test_a_worker_builds_the_one_dag_whose_task_it_runs(checkout: Checkout) -> None:
    checkout.config()
    with _airflow_parsing_context_manager(dag_id="retrain_one", task_id="train"):
        dags = set(checkout.bag().dags)
    assert dags == {"retrain_one", "ratchet_sweep"}


def test_files_that_are_no_dags_are_not_read_as_such(shipped: Any) -> None:
    read = {Path(stat.file).name for stat in shipped.dagbag_stats}
    assert read == {"retrain.py", "watch.py", "score.py", "sweep.py", "problems.py"}


@pytest.mark.parametrize(
    "conf",
    [
        {"train.epochs": 3, "train.optimizer.name": "sgd"},
        {"gate.minimum": {"accuracy": 0.9}, "augment.steps.1.settings.levels": 2},
        {"train.optimizer": {"name": "momentum", "settings": {"momentum": 0.5}}},  # no field: `open` checks it
        {"ingest.as_of": None, "overrides": ["train.optimizer.settings.beta_1=0.8"]},
    ],
    ids=str,
)
def test_a_conf_passes_airflows_own_check_of_a_trigger(shipped: Any, conf: dict[str, Any]) -> None:
    params = kept(shipped.dags["retrain_fashion_mnist"]).params.deep_merge(conf).validate()
    assert {key: params[key] for key in conf} == conf


@pytest.mark.parametrize(
    "conf", [{"train.optimizer.name": "adamm"}, {"gate.minimum": 0.9}, {"train.epochs": "3"}], ids=str
)
def test_a_conf_that_is_wrong_is_refused_by_airflow_itself(shipped: Any, conf: dict[str, Any]) -> None:
    [key] = conf
    with pytest.raises(Exception, match=rf"Invalid input for param {re.escape(key)}"):
        kept(shipped.dags["retrain_fashion_mnist"]).params.deep_merge(conf).validate()
