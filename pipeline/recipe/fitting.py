"""Whether choices fit each other, from what their files declare: known before any work.

A source may declare `FEATURES = {"image": "image"}`, the features that it delivers and their kinds, or `KINDS`, the
kinds of whatever features it is asked for, if it reads tables, whose columns may have roles; a step, `KINDS =
("image",)`, the kinds that it changes, `partners`, if it lays one row over another, and `copies_of`, if it adds copies
by class; a loss, `TARGET = "class"` or `"number"`, of which targets it is one; a loss and a task's objective,
`TAKES_MIXED_TARGETS = True`, if a row may have two labels. A kind's `raw_columns(name)` and `facts(name)` are the
columns it brings.
"""

from __future__ import annotations

import importlib
import keyword
from collections.abc import Mapping
from typing import Any

from pipeline.errors import UsageError, nearest
from pipeline.recipe.recipe import AUGMENTATION, FEATURE, LOSS, SOURCE, Recipe, slice_column
from pipeline.recipe.slots import Chosen

# The columns of raw, clean, prepared and augmented rows that no feature may be, or bring.
ROW_COLUMNS = (
    "id", "label", "part", "source", "row", "content_digest", "problem", "detail", "reason", "column", "copy",
    "source_id", "other_label", "share", "source_part", "parts_with_row", "key", "group", "time", "row_weight",
)  # fmt: skip
# Those of the tables that contracts are about, before the columns of features.
_RAW = ("id", "label", "part", "source", "row", "content_digest", "problem", "detail")
_PREPARED = ("id", "label", "part", "copy", "source_id", "source_part", "parts_with_row")
_MIXED = ("other_label", "share")  # where a step lays rows over each other
_OBJECTIVES = "pipeline.training.objectives"
_TAKES_MIXED, _TARGET = "TAKES_MIXED_TARGETS", "TARGET"


def columns_of(recipe: Recipe, of: str = "") -> tuple[str, ...]:
    """Return the columns of the tables that contracts are about, those that the recipe's features bring included.

    `of` is raw or prepared data; columns of either, if it is neither.
    """
    own = {"raw": (*_RAW, *_roles(recipe)), "prepared": (*_PREPARED, *mixed_columns(recipe, of))}.get(of, ROW_COLUMNS)
    features = recipe.data.features.items()
    return (*own, *(column for name, feature in features for column in _columns(name, feature, of)))


def mixed_columns(recipe: Recipe, of: str) -> dict[str, str]:
    """Return the columns that rows have because copies of laid over rows are written, each with the step that does."""
    mixing = _mixing(recipe) if of == "prepared" and recipe.augment.writes_copies else []
    return {
        column: f"augment.steps.{place} {recipe.augment.steps[place].name}" for place in mixing for column in _MIXED
    }


def _roles(recipe: Recipe) -> list[str]:
    """Return the columns that raw rows have because the recipe gives roles."""
    roles = recipe.data.roles
    given = {"key": roles.id, "group": roles.group, "time": roles.time, "row_weight": roles.weight}
    named = [column for column, name in given.items() if name]
    return [*named, *map(slice_column, roles.slices)]


def require_fit(chosen: Chosen, recipe: Recipe) -> None:
    """Raise UsageError, led by the choice's key, if it declares what the recipe's features do not fit."""
    file, features = chosen.member(), recipe.data.features
    if chosen.slot is SOURCE:
        _require_source(chosen, recipe)
    elif chosen.slot is AUGMENTATION:
        if hasattr(file, "copies_of"):
            _require_classes(f"{chosen.key} {chosen.choice.name}", recipe)
            if not hasattr(file, "change"):
                return
        kinds = getattr(file, "KINDS", ())
        if not any(feature.kind in kinds for feature in features.values()):
            raise UsageError(
                f"{chosen.key} {chosen.choice.name}: changes features of kind {', '.join(kinds) or '(none declared)'}, "
                "of which the recipe has none; take it out of augment.steps"
            )
        if hasattr(file, "partners"):
            _require_mixable(chosen, recipe)
    elif chosen.slot is LOSS:
        _require_target(chosen, recipe)
    elif chosen.slot is FEATURE:
        _require_own_columns(chosen.key, features)


def _require_source(chosen: Chosen, recipe: Recipe) -> None:
    """Refuse features that a source does not deliver, and roles where it has no columns."""
    file, where = chosen.member(), f"{chosen.key} {chosen.choice.name}"
    delivered: Mapping[str, str] | None = getattr(file, "FEATURES", None)
    of_tables: tuple[str, ...] | None = getattr(file, "KINDS", None)
    for name, feature in recipe.data.features.items():
        if delivered is not None:
            _require_delivered(where, delivered, name, feature.kind)
        if of_tables is not None and feature.kind not in of_tables:
            raise UsageError(
                f"{where}: delivers no feature of kind {feature.kind}, which '{name}' is; it delivers "
                f"{', '.join(of_tables)}"
            )
    if of_tables is None and (named := _roles(recipe)):
        raise UsageError(f"data.roles: {where} has no columns to give a role to, as {named[0]}; leave data.roles out")


def require_divisible(recipe: Recipe) -> None:
    """Raise UsageError if the rows lack what the recipe divides them by, or if what must stay together would not."""
    method, roles = recipe.split.method, recipe.data.roles
    for of, role in (("grouped", "group"), ("time", "time")):
        if method == of and getattr(roles, role) is None:
            raise UsageError(
                f"split.method: {method} divides rows by their {role}, and data.roles.{role} names no column of it; "
                "name one, or take another method"
            )
    if roles.group is not None and method in ("hash", "stratified"):
        raise UsageError(
            f"split.method: {method} parts rows of one group, which data.roles.group ('{roles.group}') says must stay "
            "together; take method grouped, or leave the role out"
        )
    if recipe.split.frozen is not None:
        require_freezable(recipe)


def require_freezable(recipe: Recipe) -> None:
    """Raise UsageError if a frozen split could hold nothing but the shares, which never move."""
    if recipe.split.method == "source" and not recipe.data.classes:
        raise UsageError(
            "split.frozen: with method source the rows of a number have no bins, and the shares are their thresholds, "
            "which never move; leave it null, or take method stratified"
        )


def _require_classes(where: str, recipe: Recipe) -> None:
    """Refuse a step that adds copies by class where there are no classes, or nothing that they could be added to."""
    if not recipe.data.classes:
        raise UsageError(
            f"{where}: adds copies of rows by their class, and a target that is a number has none (data.classes); take "
            "it out of augment.steps"
        )
    if recipe.augment.when == "during" and not recipe.augment.copies:
        raise UsageError(
            f"{where}: adds copies to those that an epoch makes in the place of the rows, which are augment.copies: 0; "
            "set augment.copies to 1, or augment.when to before"
        )


def _require_target(chosen: Chosen, recipe: Recipe) -> None:
    target, own = "class" if recipe.data.classes else "number", getattr(chosen.member(), _TARGET, None)
    if own not in (None, target):
        fitting = [name for name in LOSS.names() if getattr(LOSS.member(name), _TARGET, target) == target]
        raise UsageError(
            f"{chosen.key} {chosen.choice.name}: is a loss of a {own}, and the target is a {target}; choose one of "
            f"{', '.join(fitting)}"
        )


def _require_mixable(chosen: Chosen, recipe: Recipe) -> None:
    """Refuse a step that lays rows over each other where not all of a row, or its target, can be laid over."""
    where = f"{chosen.key} {chosen.choice.name}"
    if recipe.data.roles.weight is not None:
        raise UsageError(
            f"{where}: makes one row of two, and each of them has a weight of its own (data.roles.weight); take the "
            "step out of augment.steps, or leave the weight out"
        )
    kinds = chosen.member().KINDS
    for name, feature in recipe.data.features.items():
        if feature.kind not in kinds:
            raise UsageError(
                f"{where}: lays one row over another, but not feature '{name}' of kind {feature.kind}, which would "
                "stay one row's alone; take it out of augment.steps"
            )
    mixing = _mixing(recipe)
    if len(mixing) > 1:
        raise UsageError(
            f"{where}: is not the only step that lays rows over each other (augment.steps.{mixing[0]} and "
            f"{mixing[1]}), and a copy has two labels at most; take one out"
        )
    loss, task = recipe.train.loss.name, recipe.task.name
    for what, file in (
        (f"train.loss {loss}", LOSS.member(loss)),
        (f"task {task}", importlib.import_module(f"{_OBJECTIVES}.{task}")),
    ):
        if not getattr(file, _TAKES_MIXED, False):
            raise UsageError(
                f"{where}: makes targets of two labels, which {what} cannot take ({_TAKES_MIXED} in its file says that "
                "it can); take the step out of augment.steps"
            )


def _mixing(recipe: Recipe) -> list[int]:
    """Return the positions of the steps that lay rows over each other."""
    steps = enumerate(recipe.augment.steps)
    return [number for number, step in steps if hasattr(AUGMENTATION.member(step.name), "partners")]


def _require_delivered(where: str, delivered: Mapping[str, str], name: str, kind: str) -> None:
    if name not in delivered:
        raise UsageError(
            f"{where}: delivers no feature '{name}'{nearest(name, delivered)}; it delivers {', '.join(delivered)}"
        )
    if delivered[name] != kind:
        raise UsageError(f"{where}: delivers feature '{name}' of kind {delivered[name]}, not {kind}")


def _require_own_columns(key: str, features: Mapping[str, Any]) -> None:
    """Refuse a feature one of whose columns is another's, or a row's own."""
    name = key.rpartition(".")[2]
    if keyword.iskeyword(name) or name == "self":
        raise UsageError(f"{key}: a served model cannot have an input called '{name}', a word of Python; rename it")
    others = dict.fromkeys(ROW_COLUMNS, "every row")
    for other, feature in features.items():
        if other == name:
            break
        others |= dict.fromkeys(_columns(other, feature), f"feature '{other}'")
    for column in _columns(name, features[name]):
        if column in others:
            raise UsageError(f"{key}: its column '{column}' is one of {others[column]} too; rename it")


def _columns(name: str, feature: Any, of: str = "") -> list[str]:
    kind = FEATURE.member(feature.kind)
    verbs = {"raw": ("raw_columns",), "prepared": ("facts",)}.get(of, ("raw_columns", "facts"))
    declared = (getattr(kind, verb, None) for verb in verbs)
    return [name, f"{name}_bytes", *(column for columns in declared if columns for column in columns(name))]
