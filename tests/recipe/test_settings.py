"""Settings are strict and frozen, and plain values are reached by dotted key."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core._pydantic_core import list_all_errors

from pipeline.errors import UsageError
from pipeline.recipe.configs import Config
from pipeline.recipe.execution import Execution
from pipeline.recipe.recipe import Bounds, Recipe
from pipeline.recipe.settings import (
    _MESSAGES,
    Fraction,
    Positive,
    Settings,
    dotted_keys,
    flatten,
    merge,
    message_of,
    set_dotted,
    validate,
)
from pipeline.recipe.slots import Choice, Feature
from tests.recipe.conftest import SLOTS


class Oven(Settings):
    """Settings of an oven."""

    degrees: Positive
    fan: Fraction = 0.0

    @model_validator(mode="after")
    def _is_safe(self) -> Oven:
        if self.degrees > 300 and self.fan == 0:
            raise ValueError("too hot without a fan")
        return self


class Kitchen(Settings):
    """Settings of a kitchen."""

    oven: Oven
    tables: int = Field(default=1, ge=1)


def refused(values: dict[str, Any]) -> str:
    with pytest.raises(UsageError) as caught:
        validate(Kitchen, values, "kitchen.yaml")
    return str(caught.value)


def test_what_is_valid_becomes_typed_values() -> None:
    assert validate(Kitchen, {"oven": {"degrees": 200.0}}, "x") == Kitchen(oven=Oven(degrees=200.0, fan=0.0), tables=1)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"oven": {"degree": 1.0}}, "kitchen.yaml: unknown key 'oven.degree' (did you mean 'oven.degrees'?)"),
        ({"oven": {}}, "kitchen.yaml: 'oven.degrees' is missing"),
        ({}, "kitchen.yaml: 'oven' is missing"),
        ({"oven": {"degrees": 400.0}}, "kitchen.yaml: oven: too hot without a fan"),
        ({"oven": {"degrees": 1.0}, "tables": "2"}, "kitchen.yaml: tables: a whole number is needed, got '2'"),
    ],
)
def test_what_is_not_valid_is_one_line_that_names_file_and_key(values: dict[str, Any], line: str) -> None:
    assert refused(values) == line


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0, 0.0, True, "200"])
def test_what_is_no_number_in_its_bounds_is_refused(number: object) -> None:
    assert refused({"oven": {"degrees": number}}).startswith("kitchen.yaml: oven.degrees: ")


def test_a_value_is_quoted_no_longer_than_a_line() -> None:
    assert len(refused({"oven": {"degrees": "x" * 1000}})) < 200


def test_settings_are_not_changed_once_made() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Oven(degrees=1.0).fan = 0.5


def test_every_key_is_listed_with_its_groups() -> None:
    assert dotted_keys(Kitchen) == ["oven", "oven.degrees", "oven.fan", "tables"]


def test_a_dotted_key_makes_the_groups_that_are_missing() -> None:
    values: dict[str, Any] = {"a": {"b": 1}}
    set_dotted(values, "a.c.d", 2)
    assert values == {"a": {"b": 1, "c": {"d": 2}}}


def test_a_dotted_key_below_a_value_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a\.b\.c: 'b' is a value, not a group of keys"):
        set_dotted({"a": {"b": 1}}, "a.b.c", 2)


def test_an_overlay_merges_groups_and_replaces_lists() -> None:
    below = {"a": {"x": 1, "y": [1, 2]}, "b": 1}
    assert merge(below, {"a": {"y": [3]}, "c": 2}) == {"a": {"x": 1, "y": [3]}, "b": 1, "c": 2}


def test_an_overlay_leaves_what_it_lies_on() -> None:
    below = {"a": {"x": {"y": 1}}}
    merge(below, {"a": {"x": {"y": 2}}})["a"]["x"]["y"] = 3
    assert below == {"a": {"x": {"y": 1}}}


def test_a_mapping_is_flattened_in_its_order() -> None:
    assert list(flatten({"b": {"y": 1, "x": {"z": [2]}}, "a": 3}).items()) == [("b.y", 1), ("b.x.z", [2]), ("a", 3)]


def test_an_empty_group_stays_a_value() -> None:
    assert flatten({"a": {"b": {}}}) == {"a.b": {}}


KEYS = st.text("abc", min_size=1, max_size=3)
NESTED = st.dictionaries(KEYS, st.recursive(st.integers(), lambda inner: st.dictionaries(KEYS, inner, max_size=3)))


@pytest.mark.long
@given(NESTED)
def test_what_is_flattened_is_built_again_key_by_key(values: dict[str, Any]) -> None:
    built: dict[str, Any] = {}
    for key, value in flatten(values).items():
        set_dotted(built, key, value)
    assert built == values


PYTHONS_WORDS = re.compile(
    r"[Ii]nput should|instance of|valid (tuple|integer|number|string|dictionary|list|boolean)|\b(tuple|dict|dictionary|"
    r"None|True|False|float|str|int|bool|NoneType|object at)\b|<class|Value error|Assertion failed"
)


@pytest.mark.parametrize("error", list_all_errors(), ids=lambda error: error["type"])
def test_whatever_pydantic_refuses_is_said_in_words_of_the_recipe(error: dict[str, Any]) -> None:
    context = {key: "why" if value is None else value for key, value in (error["example_context"] or {}).items()}
    said = message_of({"type": error["type"], "msg": error["example_message_python"], "ctx": context})
    assert said
    assert not PYTHONS_WORDS.search(said), said
    assert "{" not in said


HOSTILE: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 2**70, 1e308, math.nan, math.inf, "", "x", "Ä" * 5000, "\ud800", [], {}, [0, 1], [None]),
    *({"a": 1}, {"": {}}, [[]], [{}], ["a", "a"], date(2026, 11, 22), time(10), datetime(2026, 11, 22, 10)),
)


def settings_of(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield kind
    for info in kind.model_fields.values():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from settings_of(info.annotation)


ALL_SETTINGS = [
    *{kind: None for whole in (Recipe, Bounds, Choice, Feature, Execution, Config) for kind in settings_of(whole)},
    *(slot.member(name).Settings for slot in SLOTS for name in slot.names()),
]


@pytest.mark.parametrize("kind", ALL_SETTINGS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_error_that_our_types_raise_has_words_of_its_own(kind: type[BaseModel]) -> None:
    for name in kind.model_fields:
        for value in HOSTILE:
            try:
                kind.model_validate({name: value})
            except ValidationError as error:
                kinds = {each["type"] for each in error.errors()} - {"missing", "extra_forbidden"}
                assert kinds <= set(_MESSAGES), (name, value)


@pytest.mark.parametrize("kind", ALL_SETTINGS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_number_has_a_largest_value(kind: type[BaseModel]) -> None:
    endless = list(without_maximum(kind.model_json_schema(), ""))
    assert not [path for path in endless if "minimum.additional" not in path and "maximum.additional" not in path]


def without_maximum(schema: Any, path: str) -> Iterator[str]:
    """Yield where a number may be as large as it likes. The gate's bounds lie between those of their metrics."""
    if isinstance(schema, dict):
        is_number = schema.get("type") in ("integer", "number")
        if is_number and not {"maximum", "exclusiveMaximum", "enum", "const"} & set(schema):
            yield path
        for key, inner in schema.items():
            yield from without_maximum(inner, f"{path}.{key}")
    elif isinstance(schema, list):
        for number, inner in enumerate(schema):
            yield from without_maximum(inner, f"{path}.{number}")


class Shelf(Settings):
    """Settings of a shelf."""

    boards: Literal[1, 3] = 1
    is_high: Literal[True, "never"] = True
    labels: tuple[str, ...] = Field(default=(), strict=False)
    owner: str = ""


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"boards": True}, "boards: a whole number is needed, got true"),
        ({"boards": 1.0}, "boards: a whole number is needed, got 1.0"),
        ({"boards": 2}, "boards: must be 1 or 3, got 2"),
        ({"is_high": 1}, "is_high: true or false is needed, got 1"),
        ({"labels": [0, 1]}, "labels.0: text is needed, got 0; quote them: ['0', '1']"),
        ({"labels": ["a", 1.5]}, "labels.1: text is needed, got 1.5; quote them: ['a', '1.5']"),
        ({"labels": [date(2026, 11, 22)]}, "labels.0: text is needed, got 2026-11-22; quote it: '2026-11-22'"),
        ({"labels": [None]}, "labels.0: text is needed, got null"),
        (
            {"owner": False},
            "owner: text is needed, got false, as no, off and false are without quotes; quote what is "
            "to be text, like 'no'",
        ),
        ({"owner": 7}, "owner: text is needed, got 7; quote it: '7'"),
        ({"owner": ["a", {"b": None}]}, "owner: text is needed, got ['a', {'b': null}]"),
    ],
)
def test_what_yaml_reads_as_another_kind_of_value_is_told(values: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError) as caught:
        validate(Shelf, values, "shelf.yaml")
    assert str(caught.value) == f"shelf.yaml: {line}"
