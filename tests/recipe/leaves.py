"""The values of a complete recipe one by one, and what else each might be."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pipeline.errors import UsageError
from pipeline.recipe.changing import apply_overrides
from pipeline.recipe.resolving import checked
from pipeline.recipe.slots import choices

# What else a value may be, where neither its type nor the value itself tells.
_OTHERS: dict[str, tuple[Any, ...]] = {
    "split.method": ("hash", "stratified"),
    "train.device": ("cpu", "gpu"),
    "augment.when": ("before", "during"),
    "delimiter": (";",),
    "quote": ("'",),
    "box_columns": (["left", "top", "right", "bottom"],),
    "outliers": ({"method": "zscore", "bound": 3.0, "action": "clip"},),
    "watermark": ({"column": "x", "at_most": "2026-11-22"},),
    "column": ("hour", "carrier"),
    "gate.parity.rows": (3,),
    "gate.parameters.maximum": (1000,),
    "driver_jar": ("driver.jar",),
    "user_variable": ("DATABASE_USER",),
    "password_variable": ("DATABASE_PASSWORD",),
    "data.roles.id": ("flight",),
    "data.roles.group": ("dest",),
    "data.roles.time": ("time_hour",),
    "data.roles.weight": ("distance",),
    "data.roles.slices": (["origin"],),
    "data.equal_rows.duplicates": ("keep",),
    "data.equal_rows.conflicts": ("keep",),
}


def leaves(values: Any, prefix: str = "") -> list[str]:
    """Return the dotted keys of all values, those of choices in lists included; a list of plain values is one."""
    is_group = (isinstance(values, Mapping) and values) or (isinstance(values, list) and isinstance(values[:1], list))
    if not is_group or (isinstance(values, list) and not any(isinstance(each, Mapping) for each in values)):
        return [] if values == {} and prefix.endswith(".settings") else [prefix]
    entries: Iterable[tuple[Any, Any]] = values.items() if isinstance(values, Mapping) else enumerate(values)
    return [leaf for key, inner in entries for leaf in leaves(inner, f"{prefix}.{key}".strip("."))]


def at(values: Any, key: str) -> Any:
    """Return the value of a dotted key; None where there is none."""
    for part in key.split("."):
        if isinstance(values, list):
            values = values[int(part)] if int(part) < len(values) else None
        else:
            values = values.get(part) if isinstance(values, Mapping) else None
    return values


def other_values(values: Mapping[str, Any], key: str) -> list[Any]:
    """Return other values of a key with which a complete recipe is still accepted, whatever else has to follow it."""
    return _other_values(json.dumps(values), key)


@cache
def _other_values(text: str, key: str) -> list[Any]:
    values = json.loads(text)
    now = at(values, key)
    return [other for other in _candidates(values, key, now) if other != now and _is_accepted(values, key, other)]


def is_name(key: str) -> bool:
    """Return whether a key is the name of a choice, of which there may be no other."""
    return key.endswith((".name", ".kind"))


def following(key: str, value: Any) -> dict[str, Any]:
    """Return the overrides that set a key, and what has to change with it for the recipe to be one."""
    if key in ("split.train", "split.validation"):
        other = "split.validation" if key == "split.train" else "split.train"
        return {key: value, other: 1 - value}
    if key in ("split.method", "split.test"):
        return {"split.method": "hash" if key == "split.test" else value, "split.train": 0.8, "split.test": 0.1}
    return {key: value}


def _is_accepted(values: Mapping[str, Any], key: str, value: Any) -> bool:
    try:
        checked(apply_overrides(copy.deepcopy(dict(values)), following(key, value), "x"), "x")
    except UsageError:
        return False
    return True


def _candidates(values: Mapping[str, Any], key: str, now: Any) -> list[Any]:
    if is_name(key):
        slot = next(each.slot for each in choices(checked(values, "x")) if each.key == key.rpartition(".")[0])
        return list(slot.names())
    if others := _OTHERS.get(key) or _OTHERS.get(key.rpartition(".")[2]):
        return list(others)
    if words := [word for word in _words(values, key) if word is not None]:
        return words
    if isinstance(now, bool):
        return [not now]
    if isinstance(now, int | float):
        return [now + 1, now - 1, now * 2, now / 2, now * 0.99, now + 0.01, 3, 1]
    if isinstance(now, str):
        return [now + "x"]
    if isinstance(now, list):
        return [[*now, *now[-1:]], now[:-1], [*now, f"{now[-1:]}x"]]
    if now is None:
        return ["2026-11-22", "x", 3.0]
    return [{**now, "accuracy": 0.5}, {**now, "class": {"bag": {"minimum": {"recall": 0.5}}}}]


def _words(values: Mapping[str, Any], key: str) -> list[Any]:
    """Return the words of which a setting of a choice is one."""
    owner, found, field = key.rpartition(".settings.")
    chosen = next((each for each in choices(checked(values, "x")) if found and each.key == owner), None)
    if chosen is None or field not in (fields := chosen.member().Settings.model_fields):
        return []
    kinds = [fields[field].annotation, *get_args(fields[field].annotation)]
    return [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
