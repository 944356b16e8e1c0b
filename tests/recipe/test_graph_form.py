"""dvc.yaml has the form that DVC reads: what is not so is said in one line, naming stage, key and the nearest valid."""

from __future__ import annotations

from typing import Any

import pytest
from dvc.schema import COMPILED_MULTI_STAGE_SCHEMA
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.recipe.graph_form import require_form

GOOD: dict[str, Any] = {
    "cmd": "ratchet stage a",
    "deps": ["x"],
    "params": ["seed", {"reports/recipe.json": ["train"]}, {"params.yaml": None}],
    "outs": ["y", {"z": {"cache": False}}],
    "metrics": [{"m.json": {"cache": False}}],
    "plots": ["p.csv", {"q.csv": {"x": "epoch", "y": "loss"}}],
    "always_changed": True,
    "frozen": False,
    "desc": "says so",
    "meta": {"group": "g"},
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def test_what_dvc_reads_is_read() -> None:
    good = {"stages": {"a": GOOD, "b": {"cmd": "x", "meta": None}}, "metrics": ["m.json"]}
    require_form(good)
    COMPILED_MULTI_STAGE_SCHEMA(good)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (None, "a group of keys is needed, with its cmd, not nothing"),
        ([], "a group of keys is needed, with its cmd, not a list"),
        ({"deps": ["x"]}, "has no cmd"),
        ({**GOOD, "cmd": ["a", "b"]}, "cmd: one command is needed, not a list"),
        ({**GOOD, "cmd": None}, "cmd: a text is needed, not nothing"),
        ({**GOOD, "cmd": " "}, "cmd: is empty"),
        ({**GOOD, "dep": ["x"]}, "unknown key 'dep' (did you mean 'deps'?)"),
        ({**GOOD, "deps": "x"}, "deps: a list is needed, not a text"),
        ({**GOOD, "deps": ["x", None]}, "deps: its entry 2: a text is needed, not nothing"),
        ({**GOOD, "outs": [{"y": {"cach": False}}]}, "its entry 1: unknown option 'cach' (did you mean 'cache'?)"),
        ({**GOOD, "outs": [{"y": {"cache": "no"}}]}, "cache: true or false is needed, not a text"),
        ({**GOOD, "params": [{"a": ["x"], "b": ["y"]}]}, "params: its entry 1: a key, or {file: [keys]}, not"),
        ({**GOOD, "wdir": ".."}, "wdir is DVC's, and not used here"),
        ({"foreach": [1], "do": {}}, "foreach is DVC's, and not used here"),
        ({**GOOD, "desc": 3}, "desc: a text is needed, not a number"),
        ({**GOOD, "always_changed": "yes"}, "always_changed: true or false is needed, not a text"),
        ({**GOOD, "meta": [1]}, "meta: a group of keys is needed, not a list"),
        ({**GOOD, "params": [None]}, "params: its entry 1: a key, or {file: [keys]}, not nothing"),
        ({**GOOD, "deps": None}, "deps: a list is needed, not nothing"),
        ({**GOOD, "outs": None}, "outs: a list is needed, not nothing"),
        ({**GOOD, "frozen": None}, "frozen: true or false is needed, not nothing"),
        ({**GOOD, "outs": [{"y": {"remote": 5}}]}, "remote: a text is needed, not a number"),
        ({**GOOD, "outs": [{"y": [{"cache": True}]}]}, "options are needed after its path, not a list"),
    ],
)  # fmt: skip
def test_what_it_does_not_read_is_said(body: Any, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        require_form({"stages": {"a": body}})
    assert says in str(refused.value)
    assert str(refused.value).startswith("dvc.yaml: stage 'a'")


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({}, "dvc.yaml: declares no stages"),
        ({"stages": []}, "dvc.yaml: declares no stages"),
        ({"stages": {"a": GOOD}, "stagez": {}}, "unknown key 'stagez' (did you mean 'stages'?)"),
        ({"stages": {"a/b": GOOD}}, "a stage's name is made of letters"),
        ({"stages": {"a": GOOD}, "params": 5}, "dvc.yaml: params: a list is needed, not a number"),
        ({"stages": {"a": GOOD}, "artifacts": [1]}, "dvc.yaml: artifacts: a group of keys is needed, not a list"),
        ({"stages": {"a": GOOD}, "artifacts": {"m": 1}}, "artifacts: 'm': a group of keys is needed, not a number"),
        ({"stages": {"a": GOOD}, "artifacts": {"m": {}}}, "artifacts: 'm': has no path"),
        ({"stages": {"a": GOOD}, "artifacts": {"m": {"paht": "x"}}}, "artifacts: 'm': has no path"),
        ({"stages": {"a": GOOD}, "plots": 5}, "dvc.yaml: plots: a list is needed, not a number"),
        ({"stages": {"a": GOOD}, "plots": [None]}, "plots: its entry 1: a path is needed"),
        ({"stages": {"a": GOOD}, "plots": [{"p": {"xx": "a"}}]}, "unknown option 'xx'"),
        ({"stages": {"a": GOOD}, "plots": [{"p": {"x": ["a"]}}]}, "x: a text is needed, not a list"),
    ],
)
def test_so_is_what_stands_around_the_stages(declared: Any, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        require_form(declared)
    assert says in str(refused.value)


@given(st.sampled_from(sorted(GOOD)), ANYTHING)
def test_whatever_stands_under_a_key_is_read_by_dvc_too_or_said_in_a_line(key: str, value: Any) -> None:
    declared = {"stages": {"a": {**GOOD, key: value}}}
    try:
        require_form(declared)
    except UsageError as refused:
        assert f"dvc.yaml: stage 'a': {key}: " in str(refused)
        assert len(str(refused)) <= 300
    else:
        COMPILED_MULTI_STAGE_SCHEMA(declared)


@given(st.sampled_from(["params", "metrics", "plots", "artifacts", "datasets"]), ANYTHING)
def test_so_is_whatever_stands_around_the_stages(key: str, value: Any) -> None:
    declared = {"stages": {"a": GOOD}, key: value}
    try:
        require_form(declared)
    except UsageError as refused:
        assert f"dvc.yaml: {key}: " in str(refused)
        assert len(str(refused)) <= 300
    else:
        COMPILED_MULTI_STAGE_SCHEMA(declared)


PLOT = st.dictionaries(st.sampled_from(["x", "y", "x_label", "title", "template", "z"]), ANYTHING | st.just("a"))
ARTIFACT = st.dictionaries(st.sampled_from(["path", "desc", "type", "labels", "meta", "z"]), ANYTHING | st.just("a"))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "plots": st.lists(st.dictionaries(st.just("p"), PLOT)),
            "artifacts": st.fixed_dictionaries({"m": ARTIFACT}),
        },
    )
)
def test_nor_does_dvc_refuse_a_plot_or_an_artifact_that_we_let_through(around: Any) -> None:
    declared = {"stages": {"a": GOOD}, **around}
    try:
        require_form(declared)
    except UsageError as refused:
        assert "\n" not in str(refused)
    else:
        COMPILED_MULTI_STAGE_SCHEMA(declared)
