"""Changes on top of a recipe: overlays and overrides, and what becomes of a member's settings when another is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.recipe.changing import apply_overrides, layered, spelt_out
from pipeline.recipe.recipe import OPTIMIZER
from pipeline.recipe.resolving import checked, complete
from pipeline.recipe.settings import flatten
from pipeline.recipe.strict_yaml import parse_yaml, parse_yaml_value
from tests.recipe.conftest import ROOT
from tests.recipe.leaves import at, following, is_name, leaves, other_values

RECIPE = parse_yaml(ROOT / "params.yaml")
COMPLETE = complete(checked(RECIPE, "params.yaml"))
LEAVES = leaves(COMPLETE)
CHANGEABLE = [leaf for leaf in LEAVES if other_values(COMPLETE, leaf)]
NAMES = st.sampled_from(OPTIMIZER.names())
CHOICES = st.one_of(
    NAMES,
    st.fixed_dictionaries(
        {"name": NAMES}, optional={"settings": st.dictionaries(st.sampled_from("ab"), st.integers())}
    ),
    st.fixed_dictionaries({"settings": st.dictionaries(st.sampled_from("ab"), st.integers())}),
)
OVERLAYS = st.fixed_dictionaries(
    {},
    optional={
        "train": st.fixed_dictionaries({}, optional={"optimizer": CHOICES, "epochs": st.integers(1, 9)}),
        "model": st.sampled_from(["cnn", "mlp", {"name": "cnn"}, {"settings": {"dense": 8}}]),
        "data": st.fixed_dictionaries({"features": st.fixed_dictionaries({"image": st.just("image")})}),
        "augment": st.fixed_dictionaries({"steps": st.lists(st.sampled_from(["warp", {"name": "erase"}]), max_size=3)}),
    },
)


def changed(overrides: dict[str, Any], values: dict[str, Any] = RECIPE) -> dict[str, Any]:
    return apply_overrides(values, overrides, "--set")


@given(OVERLAYS)
def test_an_overlay_laid_twice_is_laid_once(overlay: dict[str, Any]) -> None:
    once = layered(RECIPE, overlay)
    assert layered(once, overlay) == once


@given(OVERLAYS)
def test_nothing_on_top_changes_nothing(overlay: dict[str, Any]) -> None:
    once = layered(RECIPE, overlay)
    assert layered(once, {}) == apply_overrides(once, {}, "--set") == spelt_out(once) == once


@given(OVERLAYS, OVERLAYS)
def test_what_is_laid_on_and_under_stays_as_it_was(lower: dict[str, Any], upper: dict[str, Any]) -> None:
    before = repr((lower, upper))
    layered(lower, upper)
    assert repr((lower, upper)) == before


@given(st.data())
def test_an_override_is_read_back(data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(CHANGEABLE))
    value = data.draw(st.sampled_from(other_values(COMPLETE, key)))
    once = changed({key: value})
    assert at(once, key) == value
    assert changed({key: value}, once) == once


@pytest.mark.parametrize(
    "key",
    [
        "gate.rule.settings.total_margin",  # a number there
        "gate.minimum.macro_f1",
        "gate.maximum.overfit",  # nothing there
        "gate.rule.settings.slice_margins.class.bag",
    ],
)
def test_none_below_a_bound_switches_it_off_as_a_group_does(key: str) -> None:
    once = changed({f"{key}.none": "a try"})
    assert once == changed({key: {"none": "a try"}})
    checked(once, "x")
    assert changed({f"{key}.none": "another"}, once) == changed({key: {"none": "another"}})
    assert changed({key: 0.2}, once) == changed({key: 0.2})


def test_none_below_what_is_no_bound_is_refused_by_its_own_words() -> None:
    with pytest.raises(UsageError, match=r"train\.epochs"):
        changed({"train.epochs.none": "why"})
    with pytest.raises(UsageError, match=r"model\.settings\.dropout: a number is needed"):
        checked(changed({"model.settings.dropout.none": "why"}), "x")


@given(st.data())
def test_an_override_changes_its_key_and_nothing_else(data: st.DataObject) -> None:
    key = data.draw(st.sampled_from([leaf for leaf in CHANGEABLE if not is_name(leaf)]))
    asked = following(key, data.draw(st.sampled_from(other_values(COMPLETE, key))))
    now = complete(checked(changed(asked), "x"))
    assert {leaf for leaf in LEAVES if at(now, leaf) != at(COMPLETE, leaf)} <= {*asked}


@given(st.text(max_size=60))
def test_an_override_is_a_value_and_never_more_than_its_key(text: str) -> None:
    try:
        now = changed({"train.epochs": parse_yaml_value(text, "--set train.epochs")})
    except UsageError:
        return
    before, after = flatten(spelt_out(RECIPE)), flatten(now)
    assert {key for key in before if before[key] != after.get(key)} <= {"train.epochs"}


@given(start=NAMES, other=NAMES)
def test_another_name_forgets_the_settings_of_the_member_that_is_left(start: str, other: str) -> None:
    values = layered(RECIPE, {"train": {"optimizer": {"name": start, "settings": {"weight_decay": 0.5}}}})
    expected = {"name": other, **({"settings": {"weight_decay": 0.5}} if start == other else {})}
    for overrides in ({"train.optimizer.name": other}, {"train.optimizer": other}):
        assert changed(overrides, values)["train"]["optimizer"] == expected
    for overlay in (other, {"name": other}):
        assert layered(values, {"train": {"optimizer": overlay}})["train"]["optimizer"] == expected


def test_settings_for_a_new_name_are_kept_whatever_the_order() -> None:
    for overrides in (
        {"train.optimizer.settings.momentum": 0.5, "train.optimizer": "momentum"},
        {"train.optimizer.name": "momentum", "train.optimizer.settings.momentum": 0.5},
        {"train.optimizer.settings": {"momentum": 0.5}, "train.optimizer.name": "momentum"},
    ):
        assert changed(overrides)["train"]["optimizer"] == {"name": "momentum", "settings": {"momentum": 0.5}}


def test_a_choice_in_a_list_and_in_a_mapping_forgets_too() -> None:
    now = changed({"augment.steps.0.name": "erase", "augment.steps.0.settings.probability": 0.1})
    assert now["augment"]["steps"][0] == {"name": "erase", "settings": {"probability": 0.1}}
    assert changed({"data.features.image": "text"})["data"]["features"]["image"] == {"kind": "text"}


def test_a_config_with_settings_alone_keeps_the_name_below() -> None:
    overlay = {"train": {"optimizer": {"settings": {"beta_1": 0.8}}}}
    assert layered(RECIPE, overlay)["train"]["optimizer"] == {"name": "adam", "settings": {"beta_1": 0.8}}


def test_settings_alone_have_the_default_name_where_nothing_is_named() -> None:
    values = {**RECIPE, "train": {key: value for key, value in RECIPE["train"].items() if key != "optimizer"}}
    expected = {"name": "adam", "settings": {"beta_1": 0.8}}
    assert changed({"train.optimizer.settings.beta_1": 0.8}, values)["train"]["optimizer"] == expected
    assert changed({"train.optimizer": {"settings": {"beta_1": 0.8}}}, values)["train"]["optimizer"] == expected
    direct = {**values, "train": {**values["train"], "optimizer": {"settings": {"beta_1": 0.8}}}}
    assert checked(direct, "x").train.optimizer.name == "adam"


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ({"train.epocs": 3}, r"^--set: unknown key 'train\.epocs' \(did you mean 'train\.epochs'\?\)$"),
        ({"augment.flip": 0.1}, r"^--set: unknown key 'augment\.flip'; it is augment\.steps, flip of step warp now$"),
        ({"augment.steps.9.name": "warp"}, r"^--set: augment\.steps\.9: '9' is no position in a list of 3"),
        ({"augment": [[]], "augment.steps.1.name": "warp"}, r"^--set: augment\.steps\.1: 'steps' is no position in"),
        ({"gate.minimum": 3, "gate.minimum.recall": 1}, r"^--set: gate\.minimum\.recall: 'minimum' is a value, not a"),
    ],
)
def test_an_override_that_cannot_be_is_refused_in_one_line(overrides: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError, match=line):
        changed(overrides)


def test_a_value_that_has_no_end_is_refused() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(UsageError, match=r"^--set: model\.settings\.x: nested too deeply$"):
        changed({"model.settings.x": deep})


@pytest.mark.parametrize("said", ["cnn", {"name": "cnn"}])
def test_a_name_alone_says_the_same_bare_or_not(said: object) -> None:
    values = {"model": {"name": "cnn", "settings": {"dense": 8}}}
    assert apply_overrides(values, {"model": said}, "--set")["model"] == values["model"]


def test_a_name_that_an_overlay_makes_null_is_taken_out():
    values = {"data": {"features": {"image": "image", "age": "number"}}, "gate": {"minimum": {"accuracy": 0.5}}}
    overlay = {"data": {"features": {"image": None}}, "gate": {"minimum": {"accuracy": None, "auc": 0.7}}}

    changed = layered(values, overlay)

    assert list(changed["data"]["features"]) == ["age"]
    assert changed["gate"]["minimum"] == {"auc": 0.7}
    assert list(apply_overrides(values, {"data.features.image": None}, "--set")["data"]["features"]) == ["age"]
    assert overlay["data"]["features"] == {"image": None}
