"""The base of all settings: frozen, strict types, and plain values by dotted key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

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


SettingsT = TypeVar("SettingsT", bound=Settings)
Where = str | Callable[[str], str]
_DEEPEST = 100  # groups and lists in each other
_LONGEST_POSITION = 6  # digits

# What pydantic says in Python's words.
_MESSAGES = {
    "dict_type": "a group of keys is needed",
    "model_type": "a group of keys is needed",
    "model_attributes_type": "a group of keys is needed",
    "tuple_type": "a list is needed, in [ ]",
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
        key, problem = _first_problem(kind, error, prefix, hint)
        raise UsageError(led(where, key, problem)) from error


def led(where: Where, key: str, text: str) -> str:
    """Return an error's text after the place where the value of a key stands."""
    place = place_of(where, key)
    return f"{place}: {text}" if place else text


def place_of(where: Where, key: str = "") -> str:
    """Return the place where the value of a key stands."""
    return where if isinstance(where, str) else where(key)


def _first_problem(
    kind: type[BaseModel], error: ValidationError, prefix: str, hint: Callable[[str], str] | None
) -> tuple[str, str]:
    problems = error.errors(include_url=False)
    # An unknown key explains a missing one (a misspelling): report it first.
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    inner = ".".join(str(part) for part in problem["loc"] if part != "[key]")
    key = f"{prefix}.{inner}".strip(".")
    if problem["type"] == "extra_forbidden":
        meant = hint(key) if hint else nearest(key, (f"{prefix}.{each}".strip(".") for each in dotted_keys(kind)))
        return key, f"unknown key '{key:.200}'{meant}"
    if problem["type"] == "missing":
        return key, f"'{key}' is missing"
    message = _MESSAGES.get(problem["type"]) or str(problem["msg"]).removeprefix("Value error, ")
    if not key:
        return key, message
    return key, f"{key}: {message}" + ("" if isinstance(problem["input"], dict) else f", got {problem['input']!r:.80}")


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
