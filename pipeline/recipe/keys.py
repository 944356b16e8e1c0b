"""Which dotted keys a recipe may have, and what an unknown one is meant to be: `augment.steps.0.settings.levels`."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from functools import cache
from types import UnionType
from typing import Any, Union

from pydantic import BaseModel

from pipeline.errors import nearest
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import dotted_keys, is_position
from pipeline.recipe.slots import Choice, Feature

# Where an earlier recipe's keys are now.
_IMAGE = "data.features.image.settings"
_MOVED = {
    "data.image.raw_height": f"{_IMAGE}.raw_height",
    "data.image.raw_width": f"{_IMAGE}.raw_width",
    "data.image.channels": f"{_IMAGE}.channels",
    "data.image": _IMAGE,
    "normalize.height": f"{_IMAGE}.height",
    "normalize.width": f"{_IMAGE}.width",
    "normalize": _IMAGE,
    "evaluate.calibration_bins": "task.settings.calibration_bins",
    "train.weight_decay": "train.optimizer.settings.weight_decay",
    "train.label_smoothing": "train.loss.settings.label_smoothing",
    "augment.flip": "augment.steps, flip of step warp",
    "augment.shift": "augment.steps, shift of step warp",
    "augment.rotate_deg": "augment.steps, rotate_deg of step warp",
    "augment.scale": "augment.steps, scale of step warp",
    "augment.noise": "augment.steps, levels of step noise",
    "augment.erase": "augment.steps, probability of step erase",
    "augment.erase_area": "augment.steps, area of step erase",
    # As an example: the margins that a recipe had are its own.
    "gate.champion": "gate.rule, like {name: margin, settings: {margin: 0.02, slice_margin: 0.12}},",
}


def is_key(key: str) -> bool:
    """Return whether a recipe may have this dotted key: `train.optimizer.settings.beta_1`, `augment.steps.0.name`."""
    return type_of(key) is not None


def type_of(key: str) -> Any:
    """Return the type of a key's value; None if a recipe can have no such key."""
    kind: Any = Recipe
    for part in key.split("."):
        kind = below(kind, part)
        if kind is None:
            return None
    return kind


def meant(key: str) -> str:
    """Return a clause about a key that a recipe cannot have: where it is now, or which key is nearest."""
    for old, new in _MOVED.items():
        if key == old or key.startswith(old + "."):
            return f"; it is {new} now"
    import difflib

    *groups, _ = parts = key[:200].split(".")
    kind: Any = Recipe
    for position, part in enumerate(groups):
        found = below(kind, part)
        if found is None:
            groups = groups[:position]
            break
        kind = found
    siblings, wrong = _names(kind), parts[len(groups)]
    if close := difflib.get_close_matches(wrong, siblings, n=1, cutoff=0.6):
        near = ".".join([*groups, close[0]])
        whole = ".".join([near, *parts[len(groups) + 1 :]])
        return f" (did you mean '{whole if is_key(whole) else near}'?)"
    if not groups and "did you mean" in (elsewhere := nearest(key[:200], dotted_keys(Recipe))):
        return elsewhere  # without its group: epochs
    return nearest("", (".".join([*groups, name]) for name in siblings))


def below(kind: Any, part: str) -> Any:
    """Return the type of a group's or a list's entry; None if it can have no such entry."""
    if kind is Any:
        return Any
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        info = kind.model_fields.get(part)
        return _plain(info.annotation) if info else None
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is dict and part:
        return _plain(arguments[1])
    if origin is tuple and is_position(part):
        return _plain(arguments[0])
    if origin is Union or origin is UnionType:
        return next((found for each in arguments if (found := below(_plain(each), part)) is not None), None)
    return None


def entries(kind: Any, value: Any) -> Iterable[tuple[Any, Any, Any]]:
    """Yield `(key, value, type)` for each entry of a group or a list whose type is known."""
    found: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        found = value.items()
    elif isinstance(value, list | tuple):
        found = enumerate(value)
    for key, inner in found:
        if (known := below(kind, str(key))) is not None:
            yield key, inner, known


def label_of(kind: Any) -> str | None:
    """Return the key under which a choice has its name; None for what is no choice."""
    return "name" if kind is Choice else "kind" if kind is Feature else None


@cache
def has_choice(kind: Any) -> bool:
    """Return whether a value of a type is a choice, or may hold one."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        inner = [_plain(info.annotation) for info in kind.model_fields.values()]
        return label_of(kind) is not None or any(map(has_choice, inner))
    return any(has_choice(_plain(argument)) for argument in typing.get_args(kind))


def _plain(annotation: Any) -> Any:
    """Return a type without what Annotated or a union with None add to it."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _plain(typing.get_args(annotation)[0])
    members = [each for each in typing.get_args(annotation) if each is not type(None)]
    return _plain(members[0]) if len(members) == 1 and type(None) in typing.get_args(annotation) else annotation


def _names(kind: Any) -> list[str]:
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []
