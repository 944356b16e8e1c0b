"""Changes on top of a recipe's plain values: a config's overlay, `--set KEY=VALUE`, the trigger form's fields.

Where a slot's name changes, the settings of the member that is left are left with it: they would be another's.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from pipeline.errors import UsageError, nearest
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import copied, dotted_keys, merge, set_dotted
from pipeline.recipe.slots import Choice, Feature

# Where an earlier recipe's keys are now.
_MOVED = {
    "data.image": "data.features.image.settings",
    "normalize": "data.features.image.settings",
    "evaluate.calibration_bins": "task.settings.calibration_bins",
    "train.weight_decay": "train.optimizer.settings.weight_decay",
    "train.label_smoothing": "train.loss.settings.label_smoothing",
    "augment.flip": "augment.steps",
    "augment.shift": "augment.steps",
    "augment.rotate_deg": "augment.steps",
    "augment.scale": "augment.steps",
    "augment.noise": "augment.steps",
    "augment.erase": "augment.steps",
    "augment.erase_area": "augment.steps",
}


def is_key(key: str) -> bool:
    """Return whether a recipe may have this dotted key: `train.optimizer.settings.beta_1`, `augment.steps.0.name`."""
    kind: Any = Recipe
    for part in key.split("."):
        kind = _below(kind, part)
        if kind is None:
            return False
    return True


def moved(key: str) -> str:
    """Return a clause that says where a key of an earlier recipe is now, or what key is nearest."""
    for old, new in _MOVED.items():
        if key == old or key.startswith(old + "."):
            return f"; it is {new} now"
    return nearest(key, dotted_keys(Recipe))


def layered(values: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's plain values with an overlay's on top; groups are merged, values and lists replaced."""
    below, above = _with_names(values, Recipe), _with_names(overlay, Recipe)
    _forget_settings(below, above, Recipe)
    return merge(below, above)


def apply_overrides(values: Mapping[str, Any], overrides: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a recipe's plain values with overrides such as `{"train.epochs": 3}` applied.

    Raises UsageError, naming the nearest valid key, for an unknown one; `where` says where it came from (`--set`).
    """
    changed = copied(values)
    for key in sorted(overrides, key=_names_first):
        value = overrides[key]
        if not is_key(key):
            raise UsageError(f"{where} {key:.80}: unknown key{moved(key[:80])}")
        changed = _with_names(changed, Recipe)
        group, _, last = key.rpartition(".")
        if last in ("name", "kind") and _kind_of(group) in (Choice, Feature) and _at(changed, group).get(last) != value:
            set_dotted(changed, group, {last: value})
        else:
            set_dotted(changed, key, value)
    result: dict[str, Any] = _with_names(changed, Recipe)
    return result


def _names_first(key: str) -> tuple[bool, int]:
    return ".settings." in key or key.endswith(".settings"), key.count(".")


def _kind_of(key: str) -> Any:
    kind: Any = Recipe
    for part in key.split("."):
        kind = _below(kind, part)
    return kind


def _at(values: Any, key: str) -> Mapping[str, Any]:
    for part in key.split("."):
        if isinstance(values, list):
            values = values[int(part)] if part.isdigit() and int(part) < len(values) else {}
        else:
            values = values.get(part, {}) if isinstance(values, Mapping) else {}
    return values if isinstance(values, Mapping) else {}


def _below(kind: Any, part: str) -> Any:
    """Return the type of a group's key; None if it can have no such key."""
    if kind is Any:
        return Any
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        info = kind.model_fields.get(part)
        return _plain(info.annotation) if info else None
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is dict and part:
        return _plain(arguments[1])
    if origin is tuple and part.isdigit():
        return _plain(arguments[0])
    return None


def _plain(annotation: Any) -> Any:
    """Return a type without what Annotated or a union with None add to it."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _plain(typing.get_args(annotation)[0])
    members = [each for each in typing.get_args(annotation) if each is not type(None)]
    return _plain(members[0]) if len(members) == 1 and type(None) in typing.get_args(annotation) else annotation


def _children(kind: Any, value: Any) -> Iterable[tuple[Any, Any, Any]]:
    """Yield `(key, value, type)` for each entry of a group or a list whose type is known."""
    entries: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    for key, below in entries:
        if (known := _below(kind, str(key))) is not None:
            yield key, below, known


def _with_names(value: Any, kind: Any) -> Any:
    """Return plain values in which a bare name stands as `{name: …}`."""
    if kind in (Choice, Feature):
        return {"name" if kind is Choice else "kind": value} if isinstance(value, str) else copied(value)
    if not isinstance(value, Mapping | list):
        return value
    result: Any = copied(value) if isinstance(value, Mapping) else list(value)
    for key, below, known in _children(kind, value):
        result[key] = _with_names(below, known)
    return result


def _forget_settings(below: Any, above: Any, kind: Any) -> None:
    """Remove from `below` the settings of each member that `above` replaces with another."""
    if kind in (Choice, Feature):
        if not isinstance(below, dict) or not isinstance(above, Mapping):
            return
        name = "name" if kind is Choice else "kind"
        if name in above and above[name] != below.get(name):
            below.pop("settings", None)
        return
    if isinstance(below, dict):
        for key, value, known in _children(kind, above):
            _forget_settings(below.get(key), value, known)
