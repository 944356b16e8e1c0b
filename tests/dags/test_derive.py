"""Stages → tasks: from dvc.yaml alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dags import derive
from pipeline.errors import UsageError
from pipeline.graph import load_graph, parse_graph

ROOT = Path(__file__).resolve().parents[2]


def specs_of(stages: Mapping[str, Mapping[str, Any]]) -> tuple[derive.TaskSpec, ...]:
    return derive.task_specs(parse_graph({"stages": {name: {"cmd": "x", **body} for name, body in stages.items()}}, {}))


MAKES = {"makes": {"prepared": "out", "registration": "out"}}


def spec_with(**hints: Any) -> derive.TaskSpec:
    [spec] = specs_of({"train": {"outs": ["out"], "meta": {**MAKES, **hints}}})
    return spec


def edges_of(specs: tuple[derive.TaskSpec, ...]) -> set[tuple[str, str]]:
    return {(parent, spec.stage) for spec in specs for parent in spec.parents}


def test_each_stage_is_one_task_and_each_edge_of_the_graph_one_edge() -> None:
    graph = load_graph(ROOT)
    specs = derive.task_specs(graph)
    assert [spec.stage for spec in specs] == [stage.name for stage in graph.stages]
    assert edges_of(specs) == graph.edges
    assert [spec.description for spec in specs] == [stage.description for stage in graph.stages]


@given(st.data(), st.integers(1, 7))
def test_any_graph_gives_its_own_edges_parents_first(data: st.DataObject, size: int) -> None:
    wanted = {
        number: data.draw(st.sets(st.integers(0, number - 1))) if number else set[int]() for number in range(size)
    }
    specs = specs_of(
        {
            f"s{number}": {"outs": [f"out/{number}"], "deps": [f"out/{parent}" for parent in wanted[number]]}
            for number in data.draw(st.permutations(range(size)))
        }
    )
    assert edges_of(specs) == {(f"s{parent}", f"s{number}") for number, parents in wanted.items() for parent in parents}
    order = [spec.stage for spec in specs]
    assert all(order.index(parent) < order.index(child) for parent, child in edges_of(specs))


def test_a_stage_added_to_dvc_yaml_is_a_task_with_its_edges_and_nothing_else_moves() -> None:
    declared = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    explain = {
        "desc": "says what the candidate looks at",
        "cmd": "ratchet stage explain",
        "deps": ["models/candidate", "data/prepared"],
        "outs": ["reports/explained"],
    }
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    before = derive.task_specs(parse_graph(declared, params))
    after = derive.task_specs(parse_graph({"stages": {**declared["stages"], "explain": explain}}, params))
    assert [spec for spec in after if spec.stage != "explain"] == list(before)
    [added] = set(after) - set(before)
    assert set(added.parents) == {"train", "normalize"}
    assert added.description == "says what the candidate looks at"


def test_a_stage_without_hints_gets_the_defaults() -> None:
    spec = spec_with()
    assert (spec.group, spec.timeout_minutes, spec.retries, spec.pool) == ("stages", 360, 2, "default_pool")
    assert (spec.image, spec.asset) == (None, None)


def test_hints_say_how_a_stage_is_scheduled() -> None:
    hints = {
        "group": "training",
        "timeout_minutes": 7.5,
        "retries": 0,
        "pool": "gpus",
        "image": "registry.example/ratchet:gpu",
        "asset": "champion",
    }
    assert spec_with(**hints) == replace(spec_with(), **hints)


@pytest.mark.parametrize(
    "meta", [{"volatile": ["reports/tensorboard"]}, {"makes": {"verdict": "out"}}, {"rows": {"kept": "out"}}], ids=str
)
def test_what_other_code_knows_of_a_stage_is_no_hint(meta: dict[str, Any]) -> None:
    assert spec_with(**meta) == spec_with()


@pytest.mark.parametrize(("asset", "role"), [("champion", "registration"), ("prepared", "prepared")])
def test_an_asset_of_which_nothing_could_be_said_is_refused(asset: str, role: str) -> None:
    with pytest.raises(
        UsageError, match=rf"meta\.asset: nothing to say of the asset '{asset}': .* no stage makes the {role};"
    ):
        spec_with(makes={}, asset=asset)


def test_groups_stand_in_the_order_of_their_first_stage() -> None:
    specs = specs_of(
        {
            "b": {"meta": {"group": "late"}, "deps": ["1"]},
            "a": {"meta": {"group": "early"}, "outs": ["1"]},
            "c": {"meta": {"group": "late"}, "deps": ["1"]},
        }
    )
    assert derive.groups(specs) == ["early", "late"]


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        ("group", 3),
        ("group", ""),
        ("group", None),
        ("timeout_minutes", "60"),
        ("timeout_minutes", True),
        ("timeout_minutes", -1),
        ("retries", 1.5),
        ("retries", -1),
        ("retries", True),
        ("pool", ["gpus"]),
        ("image", ""),
        ("asset", 1),
    ],
)
def test_a_hint_of_a_wrong_type_is_refused_by_stage_and_name(hint: str, value: object) -> None:
    with pytest.raises(UsageError, match=rf"dvc\.yaml: stage 'train': meta\.{hint}: .* is not a valid value"):
        spec_with(**{hint: value})


@pytest.mark.parametrize("minutes", [0, 0.0, float("nan"), float("inf"), 1e12], ids=str)
def test_a_timeout_that_is_none_is_refused(minutes: float) -> None:
    with pytest.raises(UsageError, match=r"meta\.timeout_minutes: must be above 0 and at most 527040, a year"):
        spec_with(timeout_minutes=minutes)


@pytest.mark.parametrize(
    ("hints", "said"),
    [
        ({"retrys": 3}, r"meta\.retrys: unknown hint \(did you mean 'retries'\?\)"),
        ({"asset": "champoin"}, r"meta\.asset: no asset 'champoin' \(did you mean 'champion'\?\)"),
        ({"group": "two words"}, r"meta\.group: 'two words': letters, digits"),
        ({"group": "x" * 101}, r"meta\.group: .* at most 100"),
        ({"group": "train"}, r"meta\.group: a task is called 'train' already"),
        ({"group": "close"}, r"meta\.group: a task is called 'close' already"),
    ],
)
def test_a_hint_that_airflow_could_not_use_is_refused_in_one_line(hints: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=rf"^dvc\.yaml: stage 'train': {said}"):
        spec_with(**hints)


@pytest.mark.parametrize("name", ["open", "close", "approve"])
def test_a_stage_cannot_have_the_name_of_a_task_that_is_no_stage(name: str) -> None:
    with pytest.raises(UsageError, match=f"stage '{name}': Airflow has a task of its own with that name"):
        specs_of({name: {}})
