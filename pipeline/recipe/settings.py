"""The base of all settings: frozen, strict types, and plain values by dotted key."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, time
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from pipeline.errors import UsageError, nearest

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """Base of all settings: frozen, strict about unknown keys, finite numbers only."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        strict=True,
        defer_build=True,  # mostly a group is built as part of the whole: once is enough at every Airflow parse
    )

    @field_validator("*", mode="before")
    @classmethod
    def _is_as_allowed(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true and 1.0 where 1 is one of the allowed values: to Python they are the same."""
        if isinstance(value, bool | int | float) and info.field_name is not None:
            allowed = [each for each in get_args(cls.model_fields[info.field_name].annotation) if each == value]
            if allowed and type(value) not in map(type, allowed):
                raise ValueError(_TRUTH if isinstance(allowed[0], bool) else _WHOLE)
        return value


SettingsT = TypeVar("SettingsT", bound=Settings)
Where = str | Callable[[str], str]
# Pydantic tells where a problem is by these, too: of a key, and of the two kinds of value that a bound may be.
NUMBER_TAG, OFF_TAG = "[number]", "[none]"
_NO_KEYS = ("[key]", NUMBER_TAG, OFF_TAG)
_DEEPEST = 100  # groups and lists in each other
_LONGEST_POSITION = 6  # digits

_SHOWN = 80  # characters of a value that is not accepted
_FEW = 10  # entries of a list that are shown with quotes
_TRUTHS = {True: ("yes", "on and true"), False: ("no", "off and false")}
_GROUP, _LIST, _TEXT = "a group of keys is needed", "a list is needed, in [ ]", "text is needed"
_WHOLE, _NUMBER, _TRUTH = "a whole number is needed", "a number is needed", "true or false is needed"
_DATE, _TIME = "a date is needed, like 2026-11-22", "a time is needed, like 10:00:00"
_MOMENT, _SPAN = "a date and time is needed, like 2026-11-22T10:00:00", "a span of time is needed, like PT1H30M"

# What is wrong with a value, by the kind of pydantic's error: in words of the recipe, where pydantic has Python's.
_MESSAGES = {
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type"), _GROUP),
    **dict.fromkeys(("tuple_type", "list_type", "set_type", "frozen_set_type", "iterable_type"), _LIST),
    **dict.fromkeys(("string_type", "string_sub_type", "bytes_type", "url_type", "uuid_type"), _TEXT),
    "string_unicode": "text that UTF-8 can hold is needed",
    "string_too_short": "at least {min_length} characters are needed",
    "string_too_long": "at most {max_length} characters are allowed",
    "string_pattern_mismatch": "text that matches {pattern} is needed",
    "string_not_ascii": "text without other letters than English ones is needed",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), _WHOLE),
    "int_parsing_size": "a smaller whole number is needed",
    **dict.fromkeys(("float_type", "float_parsing", "decimal_type", "decimal_parsing", "complex_type"), _NUMBER),
    "finite_number": "a finite number is needed",
    **dict.fromkeys(("bool_type", "bool_parsing"), _TRUTH),
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "too_short": "at least {min_length} entries are needed",
    "too_long": "at most {max_length} entries are allowed",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "none_required": "must be null",
    **dict.fromkeys(("date_type", "date_parsing", "date_from_datetime_parsing"), _DATE),
    **dict.fromkeys(("datetime_type", "datetime_parsing", "datetime_from_date_parsing"), _MOMENT),
    **dict.fromkeys(("time_type", "time_parsing"), _TIME),
    **dict.fromkeys(("time_delta_type", "time_delta_parsing"), _SPAN),
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "value_error": "{error}",
    "assertion_error": "{error}",
}
_OTHERWISE = "is not a value that can stand here"
# The patterns of names and dates, in words.
_PATTERNS = {
    r"^[a-z][a-z0-9_]{0,62}$": "a name of small letters, digits and _ is needed, a letter first, 63 at most",
    r"^[a-z][a-z0-9_]*$": "a name of small letters, digits and _ is needed, a letter first",
    r"\S": "text that is not blank is needed",
    r"^\d{4}-\d{2}-\d{2}$": "a date in quotes is needed, like '2026-11-22'",
}


def validate(
    kind: type[SettingsT],
    values: Any,
    where: Where,
    prefix: str = "",
    hint: Callable[[str], str] | None = None,
) -> SettingsT:
    """Build settings of a kind from plain values; raise UsageError naming file, key, value and what is valid.

    `where` is the file, or says for a key where its value stands; `prefix` is the key of the group that is built;
    `hint` says of an unknown key what is meant.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        key, problem = _first_problem(kind, error, values, prefix, hint)
        raise UsageError(led(where, key, problem)) from error


def led(where: Where, key: str, text: str) -> str:
    """Return an error's text after the place where the value of a key stands."""
    place = place_of(where, key)
    return f"{place}: {text}" if place else text


def place_of(where: Where, key: str = "") -> str:
    """Return the place where the value of a key stands."""
    return where if isinstance(where, str) else where(key)


def _first_problem(
    kind: type[BaseModel], error: ValidationError, values: Any, prefix: str, hint: Callable[[str], str] | None
) -> tuple[str, str]:
    problems = error.errors(include_url=False)
    # An unknown key explains a missing one (a misspelling): report it first.
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    inner = ".".join(str(part) for part in problem["loc"] if part not in _NO_KEYS)
    key = f"{prefix}.{inner}".strip(".")
    if problem["type"] == "extra_forbidden":
        meant = hint(key) if hint else nearest(key, (f"{prefix}.{each}".strip(".") for each in dotted_keys(kind)))
        return key, f"unknown key '{key:.200}'{meant}"
    if problem["type"] == "missing":
        return key, f"'{key}' is missing"
    text = f"{key}: {message_of(problem)}" if key else message_of(problem)
    if not key or isinstance(problem["input"], dict):
        return key, text
    return key, f"{text}, got {shown(problem['input'])}{_quoting(problem, values)}"


def message_of(problem: Mapping[str, Any]) -> str:
    """Return what one of pydantic's errors says, in words of the recipe."""
    from pydantic_core.core_schema import ErrorType

    kind, context = problem["type"], {key: _plainly(value) for key, value in problem.get("ctx", {}).items()}
    if kind == "string_pattern_mismatch" and context["pattern"] in _PATTERNS:
        return _PATTERNS[context["pattern"]]
    if context.get("min_length") == 1:
        return "must not be empty"
    if kind not in get_args(ErrorType):
        return str(problem["msg"])  # of a validator that has a kind of error of its own
    return _MESSAGES.get(kind, _OTHERWISE).format_map(context)


def _plainly(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def shown(value: Any) -> str:
    """Return a value as it would be written in the recipe, in at most 80 characters."""
    text = _shown(value, _SHOWN)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _shown(value: Any, room: int) -> str:
    if isinstance(value, Mapping | list | tuple):
        entries: list[str] = []
        for entry in value.items() if isinstance(value, Mapping) else value:
            if room < 0:
                break
            pair = entry if isinstance(value, Mapping) else (entry,)
            entries.append(": ".join(_shown(each, room - 1) for each in pair))
            room -= len(entries[-1]) + 1
        opening, closing = "{}" if isinstance(value, Mapping) else "[]"
        return f"{opening}{', '.join(entries)}{closing}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if isinstance(value, str):
        return repr(value[: _SHOWN + 1])
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _quoting(problem: Mapping[str, Any], values: Any) -> str:
    """Return the advice to quote what was to be text, and is something else without quotes: 0, no, 2026-11-22."""
    value, location = problem["input"], [part for part in problem["loc"] if part not in _NO_KEYS]
    if problem["type"] != "string_type" or isinstance(value, list | tuple):
        return ""
    if isinstance(value, bool):
        word, others = _TRUTHS[value]
        return f", as {word}, {others} are without quotes; quote what is to be text, like '{word}'"
    if value is None:
        return ""
    for part in location[:-1]:
        values = values[part] if isinstance(values, Mapping | list | tuple) else None
    if isinstance(values, list) and isinstance(location[-1], int) and len(values) > 1:
        few = [f"'{each if isinstance(each, str) else _shown(each, _SHOWN)}'" for each in values[:_FEW]]
        return f"; quote them: [{', '.join([*few, *(['…'] if len(values) > _FEW else [])])}]"
    return f"; quote it: '{_shown(value, _SHOWN)}'"


def dotted_keys(kind: type[BaseModel], prefix: str = "") -> list[str]:
    """List every key of a settings class with its groups: `train.epochs`."""
    keys = []
    for name, info in kind.model_fields.items():
        keys.append(prefix + name)
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            keys += dotted_keys(annotation, prefix + name + ".")
    return keys


def set_dotted(values: dict[str, Any], key: str, value: Any) -> None:
    """Set `a.b.c` in nested mappings, creating missing groups; raise UsageError if `a` or `a.b` is not a group."""
    *groups, last = key.split(".")
    inner: Any = values
    for group in groups:
        is_list = isinstance(inner, list)
        inner = inner[_position(inner, group, key)] if is_list else inner.setdefault(group, {})
        if not isinstance(inner, dict | list):
            raise UsageError(f"{key}: '{group}' is a value, not a group of keys")
    if isinstance(inner, list):
        inner[_position(inner, last, key)] = value
    else:
        inner[last] = value


def is_position(text: str) -> bool:
    """Return whether a part of a dotted key is a position in a list: 0, 1, 2 …"""
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_POSITION and text == str(int(text))


def _position(values: list[Any], text: str, key: str) -> int:
    if is_position(text) and int(text) < len(values):
        return int(text)
    raise UsageError(f"{key}: '{text}' is no position in a list of {len(values)}; the first is 0")


def merge(values: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain values with an overlay's on top; groups are merged, values and lists replaced."""
    merged = copied(values)
    for key, value in overlay.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return merged


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as dotted keys, in their order: `train.epochs` → 8. An empty group stays a value."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def copied(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain values whose groups and lists can be changed without changing the original's."""
    return {key: _copied(value) for key, value in values.items()}


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return copied(value)
    return [_copied(each) for each in value] if isinstance(value, list | tuple) else value


def refuse_deep(values: Any, where: str) -> None:
    """Raise UsageError for plain values in more than a hundred groups or lists: what walks them calls itself."""
    level = [values]
    for _ in range(_DEEPEST):
        level = [
            inner
            for group in level
            if isinstance(group, Mapping | list | tuple)
            for inner in (group.values() if isinstance(group, Mapping) else group)
        ]
        if not level:
            return
    raise UsageError(f"{where}: nested too deeply")
