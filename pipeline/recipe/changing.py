"""Changes on top of a recipe's plain values: a config's overlay, `--set KEY=VALUE`, the trigger form's fields.

Where a slot's name changes, the settings of the member that is left are left with it: they would be another's. A choice
without a name keeps the name that it changes: the one below it, or the recipe's default. A name that a person has given
(a feature, a bounded metric) is taken out by `null` in its place: another job has others. Where a bound is a number,
`--set KEY.none=REASON` puts `{none: reason}` in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from pydantic import BaseModel

from pipeline.errors import UsageError
from pipeline.recipe.bounds import SWITCH_OFF
from pipeline.recipe.keys import below, entries, has_choice, is_key, label_of, meant, type_of
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import copied, is_position, merge, refuse_deep, set_dotted
from pipeline.recipe.slots import Choice

# Groups whose keys are names that a recipe gives: a null takes one out.
_OF_NAMES = ("data.features", "gate.minimum", "gate.maximum", "gate.slices")


def layered(values: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's plain values with an overlay's on top; groups are merged, values and lists replaced.

    Names in groups of them that are null in the overlay are taken out.
    """
    kept, taken_out = copied(overlay), []
    for group in _OF_NAMES:
        above, _, name = group.partition(".")
        there: Any = kept.get(above)
        names = there.get(name) if isinstance(there, dict) else None
        if isinstance(names, dict):
            taken_out += [(above, name, each) for each, value in names.items() if value is None]
    for above, name, each in taken_out:
        del kept[above][name][each]
    lower, upper = spelt_out(values), _with_labels(kept, Recipe)
    _forget_settings(lower, upper, Recipe)
    merged = merge(lower, upper)
    for above, name, each in taken_out:
        below_it = merged.get(above, {}).get(name)
        if isinstance(below_it, dict):
            below_it.pop(each, None)
    return spelt_out(merged)


def apply_overrides(values: Mapping[str, Any], overrides: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a recipe's plain values with overrides such as `{"train.epochs": 3}` applied.

    Raises UsageError, naming the nearest valid key, for an unknown one; `where` says where it came from (`--set`).
    """
    changed = spelt_out(values)
    for key in sorted(overrides, key=_names_first):
        value = overrides[key]
        if not is_key(key):
            raise UsageError(f"{where}: unknown key '{key:.80}'{meant(key)}")
        refuse_deep(value, f"{where}: {key:.80}")
        group, _, name = key.rpartition(".")
        if value is None and group in _OF_NAMES:
            changed = layered(changed, {group.split(".")[0]: {group.split(".")[1]: {name: None}}})
            continue
        try:
            _override(changed, key, value)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error
        changed = spelt_out(changed)
    return changed


def spelt_out(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's plain values in which every choice is a group of keys and has its name."""
    result: dict[str, Any] = _with_labels(values, Recipe)
    _name_defaults(result, Recipe)
    return result


def as_written(values: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's plain values as params.yaml has them where they are the same: a bare name stays bare.

    So a run with a recipe of its own, and one in place after the same change by hand, leave the same lock.
    """
    result: dict[str, Any] = _as_written(values, written, Recipe)
    return result


def _as_written(value: Any, written: Any, kind: Any) -> Any:
    if (label := label_of(kind)) is not None and isinstance(value, Mapping) and label in value:
        if isinstance(written, str) and set(value) == {label}:
            return value[label]
        if isinstance(written, Mapping) and {label: value[label], **written} == value:
            return written
    kinds = {key: known for key, _, known in entries(kind, value)}
    if isinstance(value, Mapping) and isinstance(written, Mapping):
        return {key: _as_written(inner, written.get(key), kinds.get(key)) for key, inner in value.items()}
    if isinstance(value, list) and isinstance(written, list | tuple):
        pairs = enumerate(zip_longest(value, written[: len(value)]))
        return [_as_written(inner, below, kinds.get(number)) for number, (inner, below) in pairs]
    return value


def _override(values: dict[str, Any], key: str, value: Any) -> None:
    group, _, last = key.rpartition(".")
    if (label := label_of(type_of(key))) is not None:
        if isinstance(value, str):
            group, last = key, label
        elif isinstance(value, Mapping):
            now = _at(values, key)
            is_same = value.get(label, now.get(label)) == now.get(label)
            value = {**(now if is_same else {}), **value}
    if group and last == label_of(type_of(group)):
        if _at(values, group).get(last) != value:
            set_dotted(values, group, {last: value})
    elif last == SWITCH_OFF and not _at(values, group):
        set_dotted(values, group, {last: value})  # in the place of the number that stood there
    else:
        set_dotted(values, key, value)


def _names_first(key: str) -> tuple[bool, int, str]:
    return ".settings." in key or key.endswith(".settings"), key.count("."), key


def _at(values: Any, key: str) -> Mapping[str, Any]:
    for part in key.split("."):
        if isinstance(values, list):
            values = values[int(part)] if is_position(part) and int(part) < len(values) else {}
        else:
            values = values.get(part, {}) if isinstance(values, Mapping) else {}
    return values if isinstance(values, Mapping) else {}


def _with_labels(value: Any, kind: Any) -> Any:
    """Return plain values in which a bare name stands as `{name: …}`."""
    if (label := label_of(kind)) is not None and isinstance(value, str):
        return {label: value}
    if not has_choice(kind):
        return copied({"": value})[""]
    if not isinstance(value, Mapping | list | tuple):
        return value
    result: Any = dict(value) if isinstance(value, Mapping) else list(value)
    for key, inner in result.items() if isinstance(value, Mapping) else enumerate(value):
        result[key] = _with_labels(inner, below(kind, str(key)))
    return result


def _name_defaults(values: dict[str, Any], kind: type[BaseModel]) -> None:
    """Give each choice that has no name the one that the recipe has by default."""
    for key, info in kind.model_fields.items():
        value, default = values.get(key), info.default
        if not isinstance(value, dict):
            continue
        if isinstance(default, Choice):
            if "name" not in value:
                values[key] = {"name": default.name, **value}
        elif isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            _name_defaults(value, info.annotation)


def _forget_settings(lower: Any, upper: Any, kind: Any) -> None:
    """Remove from `lower` the settings of each member that `upper` replaces with another."""
    if (label := label_of(kind)) is not None:
        if (
            isinstance(lower, dict)
            and isinstance(upper, Mapping)
            and upper.get(label, lower.get(label)) != lower.get(label)
        ):
            lower.pop("settings", None)
    elif isinstance(lower, dict):
        for key, value, known in entries(kind, upper):
            _forget_settings(lower.get(key), value, known)
