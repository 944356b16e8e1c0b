"""Which stages are likely to run, and what is made ready for them at the beginning of a run."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from pipeline.graph import load_graph
from pipeline.recipe.execution import Execution
from pipeline.recipe.resolving import RESOLVED_FILE, complete, load_checked
from pipeline.runs.ahead import likely_to_run
from pipeline.runs.dvc_repro import Order
from pipeline.runtime.warm import planning

ROOT = Path(__file__).parents[2]
GRAPH = load_graph(ROOT)
RECIPE = complete(load_checked(ROOT))
AFTER_AUGMENT = ["augment", "check_prepared", "train", "evaluate", "champion", "gate", "register"]


def value(key: str) -> Any:
    found: Any = RECIPE
    for part in key.split("."):
        found = found[part]
    return found


LOCK = {
    stage.name: {"params": {RESOLVED_FILE: {key: value(key) for key in stage.params if not key.startswith("code")}}}
    for stage in GRAPH.stages
}


def changed(key: str, to: Any) -> dict[str, Any]:
    recipe = copy.deepcopy(RECIPE)
    group, _, name = key.partition(".")
    recipe[group][name] = to
    return recipe


def names(recipe: dict[str, Any], lock: Any = LOCK, order: Order = Order()) -> list[str]:  # noqa: B008 - frozen
    return [stage.name for stage in likely_to_run(GRAPH, recipe, lock, order)]


def test_nothing_is_likely_where_nothing_has_changed_or_nothing_is_known() -> None:
    assert names(RECIPE) == []
    assert names(changed("augment.copies", 9), None) == []


def test_what_has_another_parameter_is_likely_and_what_comes_of_it() -> None:
    assert names(changed("augment.copies", 9)) == AFTER_AUGMENT
    assert names({**RECIPE, "gate": {**RECIPE["gate"], "confidence": 0.5}}) == ["gate", "register"]


def test_all_is_likely_in_a_first_run_and_where_that_is_forced_as_far_as_was_asked() -> None:
    every = [stage.name for stage in GRAPH.stages]
    assert names(RECIPE, {}) == names(RECIPE, order=Order(is_forced=True)) == every
    assert names(RECIPE, {}, Order(stage="clean")) == every[: every.index("clean") + 1]


@pytest.mark.parametrize(
    ("recipe", "parent", "library", "has_jvm"),
    [
        (changed("augment.copies", 9), "spark", "great_expectations", True),
        ({**RECIPE, "gate": {**RECIPE["gate"], "confidence": 0.5}}, "plain", "tensorflow", False),
    ],
)
def test_what_the_first_of_them_need_is_made_ready(
    recipe: dict[str, Any], parent: str, library: str, has_jvm: bool
) -> None:
    likely = likely_to_run(GRAPH, recipe, LOCK, Order())
    planned = [planning.plan(ROOT, GRAPH, Execution())[name] for name in planning.needed_first(likely)]
    assert {each["parent"] for each in planned} == {parent}
    assert any(each["jvm"] for each in planned) == has_jvm
    assert library in {name for each in planned for name in each["libraries"]}


def test_nothing_is_made_ready_for_what_comes_after_a_stage_that_works_alone() -> None:
    likely = likely_to_run(GRAPH, changed("train.epochs", 99), LOCK, Order())
    assert likely[0].name == "train"
    assert planning.needed_first(likely) == []
