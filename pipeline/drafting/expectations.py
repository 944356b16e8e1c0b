"""Expectations, in Great Expectations' words, and those that every contract has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_ID, _DIGEST = "^[0-9a-f]{32}$", "^[0-9a-f]{64}$"


class Expected(NamedTuple):
    """An expectation: its type without `expect_`, its arguments, and what a person should know."""

    type: str
    kwargs: dict[str, Any]
    notes: str = ""


class Section(NamedTuple):
    """Expectations under one heading."""

    title: str
    expectations: list[Expected]


def schema(columns: Iterable[str], typed: Iterable[str]) -> list[Expected]:
    """Return that a table has exactly these columns, and of those that are `typed` the types."""
    types = {"id": "StringType", "label": "IntegerType", "content_digest": "StringType"}
    return [
        Expected("table_columns_to_match_set", {"column_set": list(columns), "exact_match": True}),
        *(Expected("column_values_to_be_of_type", {"column": name, "type_": types[name]}) for name in typed),
    ]


def is_there(column: str) -> list[Expected]:
    """Return that each row has a value of its own."""
    return [not_null(column), Expected("column_values_to_be_unique", {"column": column})]


def is_digest() -> list[Expected]:
    """Return that each row has the digest of its content."""
    return [not_null("content_digest"), _matches("content_digest", _DIGEST)]


def not_null(column: str) -> Expected:
    """Return that each row has a value."""
    return Expected("column_values_to_not_be_null", {"column": column})


def is_id() -> list[Expected]:
    """Return that each row has an id of its own, as ids are written."""
    return [*is_there("id"), _matches("id", _ID)]


def _matches(column: str, regex: str) -> Expected:
    return Expected("column_values_to_match_regex", {"column": column, "regex": regex})


def label_set(classes: int) -> Expected:
    """Return that labels are those of so many classes."""
    return Expected("column_values_to_be_in_set", {"column": "label", "value_set": list(range(classes))})


def between(column: str, low: float, high: float, more: Mapping[str, Any], notes: str = "") -> Expected:
    """Return that values lie between two bounds, themselves included."""
    return Expected(
        "column_values_to_be_between", {"column": column, "min_value": low, "max_value": high, **more}, notes
    )
