"""Contracts as files in Great Expectations' own suite format, read and validated before anything heavy starts.

    name: fashion_mnist.raw
    expectations:
      - type: expect_table_row_count_to_be_between
        kwargs: {min_value: 10000}
        notes: why this must hold

Closed by default: a suite without expectations, or with none that an empty table fails, promises nothing and is
refused; so is an expectation that would hold whatever the data. There are no warnings: every expectation must hold.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError, nearest
from pipeline.recipe.strict_yaml import parse_yaml

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

_NOTHING: Mapping[str, str] = {}
_SUITE_KEYS = frozenset({"name", "expectations", "meta", "notes", "id"})
_EXPECTATION_KEYS = frozenset({"type", "kwargs", "meta", "notes", "description", "severity", "id"})
_COLUMN_KWARGS = ("column", "column_A", "column_B")
# How an expectation is run is decided by `checking`, not by the contract.
_RUNTIME_KWARGS = frozenset({"result_format", "catch_exceptions", "batch_id"})


@dataclass(frozen=True)
class Expectation:
    """One declared expectation; `where` names its file and its position there, for errors."""

    type: str
    kwargs: Mapping[str, Any]
    where: str
    meta: Mapping[str, Any] = field(default_factory=dict)
    notes: str | None = None

    @property
    def column(self) -> str | list[str] | None:
        """The column or columns it is about; None for the whole table."""
        if "column" in self.kwargs:
            return str(self.kwargs["column"])
        columns = _columns_of(self.kwargs)
        return columns or None


@dataclass(frozen=True)
class Suite:
    """A contract: its name, its expectations in the order of the file, and the file."""

    name: str
    expectations: tuple[Expectation, ...]
    path: Path
    notes: str | None = None


def read_suite(path: Path, columns: Iterable[str], added: Mapping[str, str] = _NOTHING) -> Suite:
    """Read a contract about a table with these columns; `added` are those that a choice adds, and which.

    Raises StorageError if the file cannot be read; UsageError, naming file and expectation, if it is not a suite, has
    an unknown type or column, lists all columns without the added ones, or declares too little. The arguments of each
    expectation are checked by `checking.bind`, because only Great Expectations knows them.
    """
    values = parse_yaml(path)
    if not isinstance(values.get("expectations"), list):
        raise UsageError(f"{path}: not a suite: it needs 'name' and a list of 'expectations'")
    _refuse_unknown(values, _SUITE_KEYS, str(path))
    name = values.get("name")
    if not isinstance(name, str) or not name.strip():
        raise UsageError(f"{path}: not a suite: 'name' must be text")
    types, known = expectation_types(), tuple(columns)
    expectations = tuple(
        _expectation(value, f"{path}: expectation {number}", types, known)
        for number, value in enumerate(values["expectations"], start=1)
    )
    for expectation in expectations:
        _require_listed(expectation, added)
    if not expectations:
        raise UsageError(f"{path}: the suite has no expectations, so it would let everything through")
    if not any(_refuses_empty_table(expectation.type, expectation.kwargs) for expectation in expectations):
        about_rows = next((each.where for each in expectations if each.type in ROW_COUNT_TYPES), None)
        raise UsageError(
            f"{about_rows}: an empty table could pass it; give it a 'min_value' of at least 1"
            if about_rows
            else f"{path}: no expectation bounds the row count, so an empty table could pass; "
            "add expect_table_row_count_to_be_between with a 'min_value' of at least 1"
        )
    return Suite(name, expectations, path, _notes(values, str(path)))


def expectation_types() -> frozenset[str]:
    """Return every expectation type of the installed Great Expectations, without importing it (which takes seconds)."""
    found = importlib.util.find_spec("great_expectations")
    if found is None or not found.submodule_search_locations:
        raise UsageError("Great Expectations is not installed in this environment; run `make setup`")
    core = Path(found.submodule_search_locations[0]) / "expectations" / "core"
    return frozenset(path.stem for path in core.glob("*expect*.py"))


def _expectation(value: object, where: str, types: frozenset[str], columns: tuple[str, ...]) -> Expectation:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}: must be a mapping with 'type' and 'kwargs', not {type(value).__name__}")
    _refuse_unknown(value, _EXPECTATION_KEYS, where)
    kind, kwargs, meta = value.get("type"), value.get("kwargs", {}), value.get("meta") or {}
    if not isinstance(kind, str):
        raise UsageError(
            f"{where}: 'type' is missing; it names an expectation, as in expect_column_values_to_be_in_set"
        )
    if kind not in types:
        raise UsageError(f"{where}: unknown type '{kind}'{_suggestion(kind, types)}")
    where = f"{where}, {kind}"
    if not isinstance(kwargs, Mapping) or not isinstance(meta, Mapping):
        raise UsageError(f"{where}: 'kwargs' and 'meta' must be mappings")
    if value.get("severity", "critical") != "critical":
        raise UsageError(f"{where}: a contract has no warnings; leave 'severity' out or remove the expectation")
    for name in sorted(_RUNTIME_KWARGS & set(kwargs)):
        raise UsageError(f"{where}: '{name}' is set by the check itself; remove it from kwargs")
    if any(isinstance(argument, Mapping) and "$PARAMETER" in argument for argument in kwargs.values()):
        raise UsageError(f"{where}: suite parameters are not used here; write the value itself")
    for column in _columns_of(kwargs):
        if column not in columns:
            raise UsageError(f"{where}: unknown column '{column}'{nearest(str(column), columns)}")
    if why := _why_vacuous(kind, kwargs):
        raise UsageError(f"{where}: {why}")
    return Expectation(kind, dict(kwargs), where, dict(meta), _notes(value, where))


def _require_listed(expectation: Expectation, added: Mapping[str, str]) -> None:
    """Refuse a list of all columns without those that are added: no data could keep it."""
    for name in ("column_set", "column_list"):
        listed = expectation.kwargs.get(name)
        if not isinstance(listed, list) or expectation.kwargs.get("exact_match") is False:
            continue
        if missing := [column for column in added if column not in listed]:
            raise UsageError(
                f"{expectation.where}: {added[missing[0]]} adds the columns {' and '.join(missing)}; name them in "
                f"'{name}', too, or take the step out"
            )


def _why_vacuous(kind: str, kwargs: Mapping[str, Any]) -> str | None:
    """Return why an expectation would hold whatever the data, and what to write instead; None if data can break it.

    What Great Expectations itself refuses is left to `checking.bind`. A pattern that matches everything is not known.
    """
    for name, value in kwargs.items():
        if isinstance(value, float) and not math.isfinite(value):
            return f"'{name}: {value}' bounds nothing; write a finite number, or leave it out"
    if "mostly" in kwargs:
        mostly = kwargs["mostly"]
        if not _is_number(mostly) or not 0 < mostly <= 1:
            return f"argument 'mostly': {_shown(mostly)} is no share of rows to hold; write more than 0 and at most 1"
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


def _refuses_empty_table(kind: str, kwargs: Mapping[str, Any]) -> bool:
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


def _notes(values: Mapping[str, Any], where: str) -> str | None:
    notes = values.get("notes")
    if notes is not None and not isinstance(notes, str):
        raise UsageError(f"{where}: 'notes' must be text")
    return notes


def _columns_of(kwargs: Mapping[str, Any]) -> list[str]:
    listed = kwargs.get("column_list", [])
    named = [kwargs[name] for name in _COLUMN_KWARGS if name in kwargs]
    return [str(column) for column in [*named, *(listed if isinstance(listed, list) else [listed])]]


def _refuse_unknown(values: Mapping[str, Any], valid: frozenset[str], where: str) -> None:
    for key in values:
        if key not in valid:
            raise UsageError(f"{where}: unknown key '{key}'{nearest(str(key), valid)}")


def _suggestion(kind: str, types: frozenset[str]) -> str:
    suggestion = nearest(kind, types)
    return suggestion if "did you mean" in suggestion else "; see Great Expectations' gallery of expectations"
