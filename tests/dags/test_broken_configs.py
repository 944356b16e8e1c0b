"""A config that is wrong disables its own DAG and says why; what all of them stand on is refused once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from airflow.dag_processing.dagbag import sync_bag_to_db
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.utils.session import create_session

from tests.dags.conftest import Checkout, check_out

HEALTHY = {"ratchet_sweep", "retrain_plain"}

BROKEN = {  # by file name: what stands in it, and what is said after the file's name
    "no_yaml": ("train: {epochs: [", r":\d: "),
    "no_mapping": ("- a\n- b\n", r": must be a mapping"),
    "no_utf8": (b"description: \xff\xfe", r": not valid YAML: "),
    "a_key_twice": ("tags: [a]\ntags: [b]\n", r":2: key 'tags' appears twice"),
    "an_unknown_key": ("schedul: '@daily'", r": unknown key 'schedul' \(did you mean 'schedule'\?\)"),
    "an_unknown_recipe_key": ("recipe: {train: {epoch: 3}}", r": .*'train\.epoch' \(did you mean"),
    "a_value_out_of_range": ("recipe: {train: {epochs: 0}}", r": train\.epochs: .*got 0"),
    "a_key_that_moved": ("recipe: {augment: {flip: 0.5}}", r": .*'augment\.flip'; it is augment\.steps, flip of step"),
    "an_unknown_optimizer": (
        "recipe: {train: {optimizer: adamm}}",
        r": train\.optimizer: no optimizer 'adamm' .*'adam'",
    ),
    "an_unknown_setting": (
        "recipe: {train: {optimizer: {settings: {betta_1: 0.8}}}}",
        r": unknown key 'train\.optimizer\.settings\.betta_1' \(did you mean 'train\.optimizer\.settings\.beta_1'",
    ),
    "a_setting_out_of_range": ("recipe: {augment: {steps: [{name: noise, settings: {levels: -1}}]}}", r": augment\."),
    "no_such_step": ("recipe: {augment: {steps: [../x]}}", r": augment\.steps\.0\.name: "),
    "a_class_name_twice": (
        "recipe: {data: {classes: [a, a]}}",
        r": data\.classes: class names must be unique: 'a' appears twice.*",
    ),
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
    assert error.startswith("WrongConfigs: configs/")
    [line] = [
        line for line in error.removeprefix("WrongConfigs: ").split(" | ") if line.startswith(f"configs/{name}.yaml")
    ]
    assert re.fullmatch(rf"configs/{re.escape(name)}\.yaml{said}.*", line)


def test_a_watch_that_is_no_cron_expression_disables_the_looking(checkout: Checkout) -> None:
    checkout.config(watch="every day")
    checkout.config("two", watch="@daily")
    bag = checkout.bag()
    assert {"watch_two", "retrain_one", "retrain_two"} <= set(bag.dags)
    assert "watch_one" not in bag.dags
    [(file, error)] = bag.import_errors.items()
    assert re.fullmatch(r"WrongConfigs: configs/one\.yaml: watch: 'every day' is no cron expression.*", error)
    assert file not in {dag.relative_fileloc for dag in bag.dags.values()}


def test_configs_that_compete_for_one_champion_are_told_and_stay_on(checkout: Checkout) -> None:
    checkout.config("two", recipe={"name": "fashion_mnist"})  # as `plain`, by params.yaml
    checkout.config("three")
    bag = checkout.bag()
    assert set(bag.dags) == {"ratchet_sweep", "retrain_plain", "retrain_two", "retrain_three"}
    [error] = bag.import_errors.values()
    assert error == (
        "WrongConfigs: configs/plain.yaml and configs/two.yaml publish under one model name, 'fashion_mnist', and so "
        "compete for one champion; give each a name of its own: recipe: {name: …}"
    )


def test_the_dags_of_the_others_stay_on_in_airflows_database(checkout: Checkout, database: None) -> None:
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
        ("dvc.yaml", "stages: {train: null}", r"dvc\.yaml: stage 'train': a group of keys is needed"),
        (
            "dvc.yaml",
            "stages: {train: {cmd: x, meta: [1]}}",
            r".*'train': meta: a group of keys is needed",
        ),
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
    assert re.fullmatch(rf"WrongConfigs: {said}.*", error), error
    assert set(bag.dags) == {"ratchet_sweep"}


def test_a_missing_recipe_is_told(checkout: Checkout) -> None:
    (checkout.root / "params.yaml").unlink()
    [error] = checkout.bag().import_errors.values()
    assert error == "WrongConfigs: params.yaml: cannot be read: No such file or directory"
