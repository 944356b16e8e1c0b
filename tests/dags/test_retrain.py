"""One DAG per config, read as Airflow's DAG processor reads it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable
from airflow.serialization.serialized_objects import DagSerialization

from dags import assets
from dags.commands import RETRY_POLICY
from pipeline.graph import load_graph
from tests.dags.conftest import ROOT, Checkout, check_out

CONFIGS = sorted(path.stem for path in (ROOT / "configs").glob("*.yaml"))


def config(checkout: Checkout, name: str = "one", **values: Any) -> None:
    checkout.write(f"configs/{name}.yaml", yaml.safe_dump(values))


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


def kept(dag: Any) -> Any:
    """A DAG as Airflow's scheduler and server get it from the database."""
    return DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))


def sources(dag: Any) -> list[str]:
    """The assets that a DAG waits for."""
    return [asset.uri for _, asset in kept(dag).timetable.asset_condition.iter_assets()]


# -- what a config makes


def test_every_config_makes_a_dag_and_nothing_else_does(shipped: Any) -> None:
    assert shipped.import_errors == {}
    watched = [name for name in CONFIGS if written(name).get("watch")]
    retrain, watch = {f"retrain_{name}" for name in CONFIGS}, {f"watch_{name}" for name in watched}
    assert set(shipped.dags) == {"ratchet_sweep"} | retrain | watch


@pytest.mark.parametrize("name", CONFIGS)
def test_a_dag_says_what_its_config_says(shipped: Any, name: str) -> None:
    said = written(name)
    dag = shipped.dags[f"retrain_{name}"]
    assert dag.description == said["description"]
    assert dag.tags == {*said["tags"], "ratchet"}
    assert dag.owner == said["owner"]
    when = ["Asset" if said.get("watch") else None, said["schedule"]]
    assert kept(dag).timetable.summary == (" or ".join(filter(None, when)) or "None")
    assert said["description"] in dag.doc_md
    for stage in load_graph(ROOT).stages:
        assert f"| {stage.name} | {stage.description} |" in dag.doc_md


def test_a_dag_starts_nothing_by_itself_for_the_time_before_it_was_there(shipped: Any) -> None:
    dag = shipped.dags["retrain_fashion_mnist"]
    assert not dag.catchup
    assert dag.max_active_runs > 1


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
    assert closing.trigger_rule == "all_done_setup_success"
    assert edges(dag) - stage_edges(dag) == {("open", "ingest"), ("open", "close"), ("register", "close")}


def test_a_failed_teardown_is_not_what_a_run_is_judged_by(shipped: Any) -> None:
    assert not shipped.dags["retrain_fashion_mnist"].get_task("close").on_failure_fail_dagrun


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
    text = (checkout.root / "dvc.yaml").read_text()
    checkout.write(
        "dvc.yaml", text + "\n  explain:\n    cmd: ratchet stage explain\n    deps: [models/candidate]\n    outs: [x]\n"
    )
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
        "close": [assets.candidates("fashion_mnist")],
    }


def test_the_form_shows_the_configs_own_values(checkout: Checkout) -> None:
    config(checkout, recipe={"train": {"epochs": 2}, "name": "other"})
    dag = checkout.dag("retrain_one")
    assert dag.params.dump()["train.epochs"] == 2
    assert dag.params.dump()["name"] == "other"
    assert dag.get_task("register").outlets == [assets.champion("other")]


# -- when it runs


def test_a_cron_expression_alone(checkout: Checkout) -> None:
    config(checkout, schedule="15 3 * * 1-5")
    assert checkout.dag("retrain_one").timetable == CronTriggerTimetable("15 3 * * 1-5", timezone="UTC")


def test_new_data_alone(checkout: Checkout) -> None:
    config(checkout, watch="*/5 * * * *")
    bag = checkout.bag()
    assert bag.import_errors == {}
    assert sources(bag.dags["retrain_one"]) == ["ratchet://one/source"]
    assert kept(bag.dags["watch_one"]).timetable.summary == "*/5 * * * *"


def test_both(checkout: Checkout) -> None:
    config(checkout, schedule="0 2 * * *", watch="@hourly")
    dag = checkout.dag("retrain_one")
    assert isinstance(dag.timetable, AssetOrTimeSchedule)
    assert dag.timetable.timetable == CronTriggerTimetable("0 2 * * *", timezone="UTC")
    assert sources(dag) == ["ratchet://one/source"]


def test_neither(checkout: Checkout) -> None:
    config(checkout)
    bag = checkout.bag()
    assert not bag.dags["retrain_one"].timetable.can_be_scheduled
    assert "watch_one" not in bag.dags


# -- a person's yes


def test_an_approval_stands_between_the_gate_and_the_registration(checkout: Checkout) -> None:
    config(checkout, approval={"deadline_hours": 48})
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


# -- what Airflow keeps of it


@pytest.mark.parametrize("extra", [{}, {"approval": {"deadline_hours": 1}, "watch": "@daily", "schedule": "@daily"}])
def test_a_dag_survives_being_kept(checkout: Checkout, extra: dict[str, Any]) -> None:
    config(checkout, **extra)
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


# -- what is wrong with one


HEALTHY = {"ratchet_sweep", "retrain_plain"}
BROKEN = {  # by file name: what stands in it, and what is said after the file's name
    "no_yaml": ("train: {epochs: [", r":\d: "),
    "no_mapping": ("- a\n- b\n", r": must be a mapping"),
    "no_utf8": (b"description: \xff\xfe", r": not valid YAML: "),
    "a_key_twice": ("tags: [a]\ntags: [b]\n", r":2: key 'tags' stands twice"),
    "an_unknown_key": ("schedul: '@daily'", r": unknown key 'schedul' \(did you mean 'schedule'\?\)"),
    "an_unknown_recipe_key": ("recipe: {train: {epoch: 3}}", r": .*'train\.epoch' \(did you mean"),
    "a_value_out_of_range": ("recipe: {train: {epochs: 0}}", r": train\.epochs: .*got 0"),
    "a_class_name_twice": ("recipe: {data: {classes: [a, a]}}", r": data: class names .* a stands"),
    "a_wrong_schedule": ("schedule: 99 99 * * *", r": schedule: '99 99 \* \* \*' is no cron"),
    "a_misspelt_schedule": ("schedule: '@dialy'", r": schedule: '@dialy' is no cron expression"),
    "an_empty_schedule": ("schedule: ''", r": schedule: '' is no cron expression"),
    "a_wrong_schedule_beside_new_data": (
        "schedule: 99 * * * *\nwatch: 0 0 * * *",
        r": schedule: '99 \* \* \* \*' is no cron expression",
    ),
    "no_deadline": ("approval: {deadline_hours: 0}", r": approval\.deadline_hours: .*got 0"),
    "an_endless_tag": (f"tags: [{'x' * 200}]", r": tag cannot be longer than 100"),
    "a-minus": ("watch: '@daily'", r": a config's name is made of letters, digits and '_'"),
    "2_first": ("watch: '@daily'", r": a config's name is made of letters, digits and '_'"),
    "a blank": ("watch: '@daily'", r": a config's name is made of letters, digits and '_'"),
    "x;y": ("watch: '@daily'", r": a config's name is made of letters, digits and '_'"),
    ".hidden": ("watch: '@daily'", r": a config's name is made of letters, digits and '_'"),
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What comes of a folder of broken configs beside a healthy one."""
    checkout = check_out(tmp_path_factory.mktemp("broken") / "project", is_plain=True)
    for name, (text, _) in BROKEN.items():
        path = checkout.root / "configs" / f"{name}.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return checkout.bag()


def test_broken_configs_disable_their_own_dags_only(broken: Any) -> None:
    assert set(broken.dags) - {"watch_a_wrong_schedule_beside_new_data"} == HEALTHY
    [file] = broken.import_errors
    # Airflow switches off every DAG of a file that has an import error.
    assert file not in {dag.relative_fileloc for dag in broken.dags.values()}


@pytest.mark.parametrize(("name", "said"), [(name, said) for name, (_, said) in BROKEN.items()])
def test_a_broken_config_says_why_in_one_line(broken: Any, name: str, said: str) -> None:
    [error] = broken.import_errors.values()
    assert "\n" not in error
    assert error.startswith("UsageError: configs/")
    [line] = [
        line for line in error.removeprefix("UsageError: ").split(" | ") if line.startswith(f"configs/{name}.yaml")
    ]
    assert re.fullmatch(rf"configs/{re.escape(name)}\.yaml{said}.*", line)


def test_a_watch_that_is_no_cron_expression_disables_the_looking(checkout: Checkout) -> None:
    config(checkout, watch="every day")
    config(checkout, "two", watch="@daily")
    bag = checkout.bag()
    assert {"watch_two", "retrain_one", "retrain_two"} <= set(bag.dags)
    assert "watch_one" not in bag.dags
    [(file, error)] = bag.import_errors.items()
    assert re.fullmatch(r"UsageError: configs/one\.yaml: watch: 'every day' is no cron expression.*", error)
    assert file not in {dag.relative_fileloc for dag in bag.dags.values()}


def test_the_dags_of_the_others_stay_on_in_airflows_database(checkout: Checkout, database: None) -> None:
    from airflow.dag_processing.dagbag import sync_bag_to_db
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    with create_session() as session:
        session.merge(DagBundleModel(name="dags-folder"))
    checkout.write("configs/broken.yaml", "schedul: x")
    sync_bag_to_db(checkout.bag(), "dags-folder", None)
    with create_session() as session:
        states = {dag.dag_id: (dag.is_stale, dag.has_import_errors) for dag in session.query(DagModel)}
    assert states == dict.fromkeys(HEALTHY, (False, False))


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("dvc.yaml", "stages: [", r"dvc\.yaml:\d: "),
        ("dvc.yaml", "", r"dvc\.yaml: declares no stages"),
        ("dvc.yaml", "stages: {train: {deps: [x]}}", r"dvc\.yaml: stage 'train' has no cmd"),
        ("dvc.yaml", "stages: {train: null}", r"dvc\.yaml: not what DVC reads either"),
        ("dvc.yaml", "stages: {train: {cmd: x, meta: [1]}}", r"dvc\.yaml: not what DVC reads either"),
        (
            "dvc.yaml",
            "stages: {train: {cmd: x, deps: ['${data.pth}']}}",
            r"dvc\.yaml: \$\{data\.pth\} is not in params",
        ),
        (
            "dvc.yaml",
            "stages: {train: {cmd: x, meta: {retrys: 1}}}",
            r"dvc\.yaml: stage 'train': meta\.retrys: unknown",
        ),
        ("dvc.yaml", "stages: {close: {cmd: x}}", r"dvc\.yaml: stage 'close': Airflow has a task of its own"),
        (
            "dvc.yaml",
            "stages: {a: {cmd: x, deps: [p], outs: [q]}, b: {cmd: x, deps: [q], outs: [p]}}",
            r"dvc\.yaml: these stages wait for each other in a circle: a, b",
        ),
        ("params.yaml", "name: [", r"params\.yaml:\d: "),
        ("params.yaml", "name: fashion_mnist", r"params\.yaml: 'seed' is missing"),
        ("params.yaml", "nme: x", r"params\.yaml: unknown key 'nme' \(did you mean 'name'\?\)"),
    ],
)
def test_what_all_configs_stand_on_is_refused_once_and_by_its_own_name(
    checkout: Checkout, file: str, text: str, said: str
) -> None:
    checkout.write(file, text)
    bag = checkout.bag()
    [error] = bag.import_errors.values()
    assert re.fullmatch(rf"UsageError: {said}.*", error), error
    assert set(bag.dags) == {"ratchet_sweep"}


def test_a_missing_recipe_is_told(checkout: Checkout) -> None:
    (checkout.root / "params.yaml").unlink()
    [error] = checkout.bag().import_errors.values()
    assert error == "UsageError: params.yaml: cannot be read: No such file or directory"


def test_a_checkout_without_configs_has_nothing_to_retrain(checkout: Checkout) -> None:
    shutil.rmtree(checkout.root / "configs")
    bag = checkout.bag()
    assert (set(bag.dags), bag.import_errors) == ({"ratchet_sweep"}, {})


def test_a_worker_builds_the_one_dag_whose_task_it_runs(checkout: Checkout) -> None:
    config(checkout)
    from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager

    with _airflow_parsing_context_manager(dag_id="retrain_one", task_id="train"):
        dags = set(checkout.bag().dags)
    assert dags == {"retrain_one", "ratchet_sweep"}


def test_the_sweep_runs_daily_and_one_at_a_time(shipped: Any) -> None:
    dag = shipped.dags["ratchet_sweep"]
    assert (kept(dag).timetable.summary, dag.max_active_runs, dag.catchup) == ("30 3 * * *", 1, False)
    assert dag.task_ids == ["sweep"]


def test_files_that_are_no_dags_are_not_read_as_such(shipped: Any) -> None:
    read = {Path(stat.file).name for stat in shipped.dagbag_stats}
    assert read == {"retrain.py", "watch.py", "sweep.py", "problems.py"}
