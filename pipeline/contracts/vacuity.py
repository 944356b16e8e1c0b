"""Arguments with which an expectation holds whatever the data: a contract must not seem to check what it does not.

What Great Expectations itself refuses is refused by `checking.bind`; here stands what it would let through. A pattern
that matches everything is not recognised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

ROW_COUNT_TYPES = frozenset({"expect_table_row_count_to_be_between", "expect_table_row_count_to_equal"})

_LOWEST_AND_HIGHEST = {  # what a figure can be whatever the data: a bound there bounds nothing
    "expect_table_row_count_to_be_between": (0, math.inf),
    "expect_table_column_count_to_be_between": (0, math.inf),
    "expect_column_unique_value_count_to_be_between": (0, math.inf),
    "expect_column_value_lengths_to_be_between": (0, math.inf),
    "expect_column_proportion_of_unique_values_to_be_between": (0, 1),
    "expect_column_proportion_of_non_null_values_to_be_between": (0, 1),
}
_NEEDED = {  # arguments that Great Expectations lets be absent, null or empty, and then checks nothing
    "expect_column_distinct_values_to_contain_set": ("value_set",),
    "expect_column_kl_divergence_to_be_less_than": ("threshold",),
    "expect_column_values_to_be_in_type_list": ("type_list",),
    "expect_column_values_to_match_regex": ("regex",),
    "expect_column_values_to_not_be_in_set": ("value_set",),
    "expect_column_values_to_not_match_like_pattern_list": ("like_pattern_list",),
    "expect_column_pair_values_to_be_in_set": ("value_pairs_set",),
    "expect_table_columns_to_match_ordered_list": ("column_list",),
    "expect_table_columns_to_match_set": ("column_set",),
}


def why_vacuous(kind: str, kwargs: Mapping[str, Any]) -> str | None:
    """Return why an expectation would check nothing, and what to write instead; None if it checks something."""
    for name, value in kwargs.items():
        if isinstance(value, float) and not math.isfinite(value):
            return f"'{name}: {value}' bounds nothing; write a finite number, or leave it out"
    if "mostly" in kwargs:
        mostly = kwargs["mostly"]
        if not _is_number(mostly) or not 0 < mostly <= 1:
            return f"'mostly: {_shown(mostly)}' is no share of rows that must hold; write more than 0 and at most 1"
    for name in _NEEDED.get(kind, ()):
        if kwargs.get(name) in (None, "", [], {}):
            return f"without '{name}' it checks nothing; give it, or remove the expectation"
    for name in ("value_set", "value_pairs_set"):
        if isinstance(kwargs.get(name), list) and _holds_null(kwargs[name]):
            return f"null in '{name}' lets every value pass; remove it: null values are never compared"
    if kind == "expect_table_row_count_to_equal":
        return _why_row_count(kwargs.get("value"), "value")
    if kind == "expect_column_quantile_values_to_be_between":
        return _why_quantiles(kwargs.get("quantile_ranges"))
    return _why_unbounded(kind, kwargs) if kind.endswith("_to_be_between") else None


def refuses_empty_table(kind: str, kwargs: Mapping[str, Any]) -> bool:
    """Whether it is an expectation about the row count that a table without rows does not meet."""
    if kind == "expect_table_row_count_to_equal":
        return _why_row_count(kwargs.get("value"), "value") is None
    least = kwargs.get("min_value")
    if kind not in ROW_COUNT_TYPES or not isinstance(least, int):
        return False
    return least > 0 or (least == 0 and kwargs.get("strict_min") is True)


def _why_row_count(value: Any, name: str) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return None
    return f"'{name}: {_shown(value)}' is no number of rows of a table with data; write a whole number from 1"


def _why_unbounded(kind: str, kwargs: Mapping[str, Any]) -> str | None:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if kind in ROW_COUNT_TYPES:
        for name, value in (("min_value", low), ("max_value", high)):
            if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
                return f"'{name}: {_shown(value)}' is no number of rows; write a whole number"
    lowest, highest = _LOWEST_AND_HIGHEST.get(kind, (-math.inf, math.inf))
    if low is None and high is None:
        return "without 'min_value' and 'max_value' it checks nothing; give one of them, or remove the expectation"
    lets_low = low is None or (_is_number(low) and _is_at_most(low, lowest, kwargs.get("strict_min")))
    lets_high = high is None or (_is_number(high) and _is_at_most(-high, -highest, kwargs.get("strict_max")))
    if lets_low and lets_high:
        given = ", ".join(f"'{name}: {_shown(kwargs[name])}'" for name in ("min_value", "max_value") if name in kwargs)
        return f"{given} holds whatever the data; give a bound that something can break, or remove the expectation"
    return None


def _is_at_most(bound: float, limit: float, strict: Any) -> bool:
    return bound < limit or (bound == limit and strict is not True)


def _why_quantiles(ranges: Any) -> str | None:
    if not isinstance(ranges, Mapping):
        return None  # Great Expectations refuses it
    bounds = ranges.get("value_ranges")
    if not bounds or not isinstance(bounds, list):
        return "without quantiles and their ranges it checks nothing; give them, or remove the expectation"
    if any(isinstance(pair, list) and all(bound is None for bound in pair) for pair in bounds):
        return "a range of 'value_ranges' without bounds checks nothing; give one of its bounds, or remove the quantile"
    return None


def _holds_null(values: list[Any]) -> bool:
    return any(value is None or (isinstance(value, list) and _holds_null(value)) for value in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
