"""The graph is dvc.yaml and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.graph import (
    ROLES,
    Contract,
    Graph,
    Rows,
    Stage,
    _parent_names,
    covers,
    find_root,
    load_graph,
    parse_graph,
    resolve,
)

ROOT = Path(__file__).parents[1]
PATHS = ["data", "data/raw", "data/raw/part", "data/rawer", "data/clean", "models/x", "/usr/share/x"]


def test_the_shipped_graph_has_every_stage_in_an_order_that_respects_its_edges() -> None:
    graph = load_graph(ROOT)
    names = [stage.name for stage in graph.stages]
    assert set(names) >= {
        *("ingest", "check_raw", "clean", "split", "normalize", "augment", "check_prepared"),
        *("train", "evaluate", "gate", "register"),
    }
    assert all(names.index(parent) < names.index(child) for parent, child in graph.edges)


def test_every_stage_has_its_file_and_the_command_that_runs_it() -> None:
    for stage in load_graph(ROOT).stages:
        assert stage.command == f"ratchet stage {stage.name}"
        assert (ROOT / "pipeline" / "stages" / f"{stage.name}.py").is_file()
        assert f"pipeline/stages/{stage.name}.py" in stage.deps
        assert stage.description


def test_only_what_acts_outside_git_is_always_changed() -> None:
    assert {stage.name for stage in load_graph(ROOT).stages if stage.is_always_changed} == {"champion", "register"}


def test_references_are_resolved_from_the_recipe() -> None:
    assert resolve("${a.b}/x", {"a": {"b": "y"}}) == "y/x"


def test_a_reference_to_what_the_recipe_has_not_is_refused() -> None:
    with pytest.raises(UsageError, match=r"\$\{a\.c\} is not in params\.yaml"):
        resolve("${a.c}", {"a": {"b": "y"}})


def test_a_circle_is_refused_by_name() -> None:
    stages = {"a": {"cmd": "x", "deps": ["2"], "outs": ["1"]}, "b": {"cmd": "x", "deps": ["1"], "outs": ["2"]}}
    with pytest.raises(UsageError, match="in a circle: a, b"):
        parse_graph({"stages": stages}, {})


@pytest.mark.parametrize("declared", [{}, {"stages": {}}, {"stages": ["a"]}])
def test_a_graph_without_stages_is_refused(declared: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"dvc\.yaml: declares no stages"):
        parse_graph(declared, {})


def test_a_stage_without_a_command_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="stage 'a' has no cmd"):
        parse_graph({"stages": {"a": {"deps": ["1"]}}}, {})


def test_an_unknown_stage_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no stage 'trian' \(did you mean 'train'\?\)"):
        load_graph(ROOT)["trian"]


def test_parameters_may_stand_in_a_file_that_another_stage_makes_and_are_waited_for() -> None:
    stages = {
        "train": {"cmd": "x", "params": ["name", {"reports/recipe.json": ["seed", "train"]}, {"more.yaml": ["a.b"]}]},
        "resolve": {"cmd": "x", "params": ["seed"], "outs": ["reports/recipe.json"]},
    }
    graph = parse_graph({"stages": stages}, {})
    assert graph["train"].params == ("name", "seed", "train", "a.b")
    assert graph["train"].param_files == ("reports/recipe.json", "more.yaml")
    assert graph["resolve"].param_files == ()
    assert graph.edges == {("resolve", "train")}


@pytest.mark.parametrize("entry", [{"a.json": ["x"], "b.json": ["y"]}, ["seed"], 3])
def test_a_parameter_that_is_neither_a_key_nor_a_file_with_keys_is_refused(entry: object) -> None:
    with pytest.raises(UsageError, match=r"stage 'a': params: its entry \d: a key, or \{file: \[keys\]\}, not "):
        parse_graph({"stages": {"a": {"cmd": "x", "params": [entry]}}}, {})


def test_a_parameter_file_without_its_keys_is_refused() -> None:
    with pytest.raises(UsageError, match=r"stage 'a': params: name the keys of b\.json"):
        parse_graph({"stages": {"a": {"cmd": "x", "params": [{"b.json": None}]}}}, {})


def graph_with(meta: dict[str, object], **more: dict[str, object]) -> Graph:
    stage = {"cmd": "x", "deps": ["in/${name}.yaml"], "outs": ["out/a"], "meta": {"volatile": ["logs"], **meta}}
    return parse_graph({"stages": {"judges": stage, **more}}, {"name": "raw"})


def test_what_a_stage_makes_is_found_by_its_role() -> None:
    graph = graph_with({"makes": {"verdict": "out/a/verdict.json", "registration": "logs"}})
    assert (graph.artifact("verdict"), graph.find("registration")) == ("out/a/verdict.json", "logs")
    assert graph.maker("verdict") == graph["judges"]
    assert (graph.find("metrics"), graph.maker("metrics")) == (None, None)


def test_a_role_that_no_stage_has_is_answered_with_where_to_declare_it() -> None:
    with pytest.raises(UsageError, match=r"^dvc\.yaml: no stage makes the verdict; .* `makes: \{verdict: <path>\}`$"):
        graph_with({}).artifact("verdict")


def test_contracts_and_the_flow_of_rows_are_found_with_their_references_resolved() -> None:
    meta = {
        "contract": {"of": "raw", "path": "in/${name}.yaml", "result": "out/a"},
        "rows": {"kept": "out/a", "note": "new"},
    }
    graph = graph_with(meta)
    assert graph.contracts == (Contract(of="raw", path="in/raw.yaml", result="out/a"),)
    assert graph.flow == (("judges", Rows(kept="out/a", note="new")),)


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ({"makes": {"verdikt": "out/a"}}, r"makes: unknown role 'verdikt' \(did you mean 'verdict'\?\)"),
        (
            {"makes": {"verdict": "out/b"}},
            r"makes\.verdict: the stage does not declare out/b \(did you mean 'out/a'\?\)",
        ),
        ({"makes": {"verdict": "in/raw.yaml"}}, r"makes\.verdict: the stage does not declare in/raw\.yaml"),
        (
            {"contract": {"of": "raw", "path": "in/row.yaml", "result": "out/a"}},
            r"contract\.path: the stage does not declare in/row\.yaml \(did you mean 'in/raw\.yaml'\?\)",
        ),
        ({"contract": {"of": "raw", "path": "in/raw.yaml"}}, "contract: 'result' is missing"),
        ({"rows": {"keep": "out/a"}}, r"rows: unknown key 'keep' \(did you mean 'kept'\?\)"),
        ({"rows": {"kept": "out/a", "read": "out/a"}}, r"rows\.read: the stage does not declare out/a"),
        ({"rows": {"kept": 3}}, r"rows: kept: .*, got 3"),
    ],
)
def test_what_meta_gets_wrong_is_refused_by_stage_key_and_nearest(meta: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=rf"^dvc\.yaml: stage 'judges': meta\.{said}"):
        graph_with(meta)


def test_a_role_is_one_stages_alone() -> None:
    other = {"cmd": "x", "outs": ["b"], "meta": {"makes": {"verdict": "b"}}}
    with pytest.raises(UsageError, match=r"stage 'other': meta\.makes: stage 'judges' makes the verdict already"):
        graph_with({"makes": {"verdict": "out/a"}}, other=other)


@pytest.mark.parametrize("body", [3, [], {"cmd": 3}, {"cmd": "x", "outs": 3}, {"cmd": "x", "meta": ["makes"]}])
def test_a_stage_of_another_form_is_refused_in_one_line(body: object) -> None:
    with pytest.raises(UsageError, match=r"^dvc\.yaml: "):
        parse_graph({"stages": {"a": body}}, {})


def test_without_a_recipe_references_stay_as_they_stand() -> None:
    graph = parse_graph({"stages": {"a": {"cmd": "x", "deps": ["${data.path}"]}}}, None)
    assert graph["a"].deps == ("${data.path}",)


def test_the_shipped_graph_has_every_role() -> None:
    graph = load_graph(ROOT)
    assert all(graph.find(role) for role in ROLES)
    assert [contract.of for contract in graph.contracts] == ["raw", "prepared"]


@given(st.integers(1, 6), st.data())
def test_any_graph_without_a_circle_is_ordered(size: int, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(range(size)))
    stages = {
        f"s{number}": {
            "cmd": "x",
            "outs": [f"out/{number}"],
            "deps": [f"out/{n}" for n in data.draw(st.sets(st.integers(0, number - 1)) if number else st.just(set()))],
        }
        for number in shuffled
    }
    graph = parse_graph({"stages": stages}, {})
    order = [stage.name for stage in graph.stages]
    assert sorted(order) == sorted(stages)
    assert all(order.index(parent) < order.index(child) for parent, child in graph.edges)


@pytest.mark.parametrize("below", [".", "pipeline", "pipeline/stages"])
def test_the_project_is_found_from_any_folder_of_it(below: str) -> None:
    assert find_root(ROOT / below) == ROOT


def test_outside_of_a_project_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").touch()  # alone it is somebody else's
    with pytest.raises(UsageError, match="not inside a Ratchet project"):
        find_root(tmp_path)


def test_the_graph_needs_nothing_heavy() -> None:
    code = "import sys, pipeline.graph; print([m for m in ('airflow', 'dvc', 'numpy', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(PATHS), max_size=3, unique=True),
            st.lists(st.sampled_from(PATHS), max_size=2, unique=True),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_a_stage_waits_for_exactly_those_whose_outputs_lie_in_its_way(
    declared: list[tuple[list[str], list[str]]],
) -> None:
    stages = tuple(
        Stage(f"s{number}", "x", deps=tuple(deps), outs=tuple(outs)) for number, (deps, outs) in enumerate(declared)
    )
    whole = Graph(stages, _parent_names(stages))
    for stage in stages:
        expected = [
            other
            for other in stages
            if other is not stage and any(covers(a, b) or covers(b, a) for a in stage.deps for b in other.outs)
        ]
        assert list(whole.parents(stage)) == expected


def test_what_a_stage_needs_is_itself_and_all_that_stands_before_it() -> None:
    stages = {
        "a": {"cmd": "x", "outs": ["1"]},
        "b": {"cmd": "x", "deps": ["1"], "outs": ["2"]},
        "c": {"cmd": "x", "deps": ["2"]},
        "d": {"cmd": "x", "deps": ["1"]},
    }
    graph = parse_graph({"stages": stages}, {})
    needed = {name: {other for other in stages if graph.needs(name, other)} for name in stages}
    assert needed == {"a": {"a"}, "b": {"a", "b"}, "c": {"a", "b", "c"}, "d": {"a", "d"}}


def test_of_the_shipped_graph_the_verdict_needs_the_candidate_and_the_candidate_no_champion() -> None:
    graph = load_graph(ROOT)
    candidate, champion, verdict = (graph.maker(role) for role in ("candidate", "champion", "verdict"))
    assert candidate is not None
    assert champion is not None
    assert verdict is not None
    assert graph.needs(verdict.name, candidate.name)
    assert graph.needs(verdict.name, champion.name)
    assert not graph.needs(candidate.name, champion.name)


def test_what_dvc_is_not_to_cache_is_known_of_every_kind_of_output() -> None:
    stage = {
        "cmd": "x",
        "outs": ["kept", {"${name}": {"cache": False}}, {"persisted": {"persist": True}}],
        "metrics": [{"m.json": {"cache": False}}, "kept.json"],
        "plots": [{"p.csv": {"cache": False, "x": "epoch"}}, {"drawn.csv": {}}],
    }
    assert parse_graph({"stages": {"a": stage}}, {"name": "out"})["a"].uncached == ("out", "m.json", "p.csv")


def test_champion_and_registration_are_made_by_the_stages_that_look_outside() -> None:
    graph = load_graph(ROOT)
    makers = {maker.name for role in ("champion", "registration") if (maker := graph.maker(role))}
    assert makers == {stage.name for stage in graph.stages if stage.is_always_changed}


@pytest.mark.parametrize(
    ("warm", "says"),
    [
        ({"ahead": "gat"}, "meta.warm.ahead: no stage 'gat' (did you mean 'gate'?)"),
        ({"libraries": ["pipeline.gate"]}, "meta.warm: pipeline.gate is the project's own code"),
        ({"optional": ["pipeline"]}, "meta.warm: pipeline is the project's own code"),
        ({"libraries": ["../x"]}, "meta.warm: libraries"),
        ({"librarys": ["yaml"]}, "meta.warm: unknown key 'librarys' (did you mean 'libraries'?)"),
        ({"spark": "mine"}, "meta.warm: spark"),
    ],
)
def test_what_a_stage_is_to_find_ready_is_checked(warm: dict[str, Any], says: str) -> None:
    stages = {"ingest": {"cmd": "a", "meta": {"warm": warm}}, "gate": {"cmd": "b"}}
    with pytest.raises(UsageError) as error:
        parse_graph({"stages": stages}, {})
    assert says in str(error.value)


def test_the_stages_that_share_a_jvm_are_done_where_all_of_them_are_before_a_stage() -> None:
    spark = {"warm": {"spark": "shared"}}
    stages = {
        "raw": {"cmd": "a", "outs": ["raw"], "meta": spark},
        "clean": {"cmd": "b", "deps": ["raw"], "outs": ["clean"], "meta": spark},
        "train": {"cmd": "c", "deps": ["clean"], "outs": ["model"]},
        "aside": {"cmd": "d", "deps": ["raw"], "outs": ["aside"]},
    }
    graph = parse_graph({"stages": stages}, {})
    assert [graph.is_past_spark(name, at_end=False) for name in stages] == [False, False, True, False]
    assert [graph.is_past_spark(name, at_end=True) for name in stages] == [False, True, True, False]
