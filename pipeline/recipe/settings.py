"""The base of all settings: frozen, strict types, and plain values by dotted key."""

from __future__ import annotations

from collections.abc import Mapping
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


def validate(kind: type[SettingsT], values: Mapping[str, Any], where: str) -> SettingsT:
    """Build settings of a kind from plain values; raise UsageError naming file, key, value and what is valid."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise UsageError(f"{where}: {_first_problem(kind, error)}") from error


def _first_problem(kind: type[Settings], error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    # An unknown key explains a missing one (a misspelling): report it first.
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location)
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{key}'{nearest(key, dotted_keys(kind))}"
    if problem["type"] == "missing":
        return f"'{key}' is missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not location:
        return message
    return f"{key}: {message}" + ("" if isinstance(problem["input"], dict) else f", got {problem['input']!r:.80}")


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


def _position(values: list[Any], text: str, key: str) -> int:
    if text.isdigit() and int(text) < len(values):
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
