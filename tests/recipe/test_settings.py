"""Settings are strict and frozen, and plain values are reached by dotted key."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError, model_validator

from pipeline.errors import UsageError
from pipeline.recipe.settings import Fraction, Positive, Settings, dotted_keys, flatten, merge, set_dotted, validate


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
        ({"oven": {"degrees": 1.0}, "tables": "2"}, "kitchen.yaml: tables: Input should be a valid integer, got '2'"),
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


@given(NESTED)
def test_what_is_flattened_is_built_again_key_by_key(values: dict[str, Any]) -> None:
    built: dict[str, Any] = {}
    for key, value in flatten(values).items():
        set_dotted(built, key, value)
    assert built == values
