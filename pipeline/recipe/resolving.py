"""The complete recipe: every default written out, every slot's choice checked by the file it names.

One resolver serves `params.yaml`, `--set`, the preflight, the first stage, Airflow's parse and its form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline.errors import UsageError
from pipeline.recipe.changing import spelt_out
from pipeline.recipe.fitting import require_divisible, require_fit
from pipeline.recipe.keys import is_key, meant
from pipeline.recipe.recipe import FEATURE, PARAMS_FILE, TASK, Recipe
from pipeline.recipe.settings import (
    Settings,
    Where,
    copied,
    led,
    message_of,
    place_of,
    refuse_deep,
    set_dotted,
    validate,
)
from pipeline.recipe.slots import Chosen, Slot, choices
from pipeline.recipe.strict_yaml import parse_yaml

RESOLVED_FILE = "reports/recipe.json"
CODE = "code"
_FIRST_WORD = re.compile(r"[: ]")
# What a kind of feature, and a task, is in other rooms: files of the same name.
_COMPANIONS = {
    FEATURE: (Slot("preprocessing of feature kind", "pipeline.models.preprocessing"),),
    TASK: (
        Slot("output of task", "pipeline.models.outputs"),
        Slot("objective of task", "pipeline.training.objectives"),
    ),
}


def checked(values: Any, where: Where) -> Recipe:
    """Return plain values as a recipe, its slots' choices checked.

    Raises UsageError, led by where the value stands, for whatever can be known from the recipe: an unknown key, a value
    out of range, a name that no file has, a setting that its file refuses, choices that do not fit each other.
    """
    refuse_deep(values, place_of(where))
    recipe = validate(Recipe, spelt_out(values) if isinstance(values, Mapping) else values, where, hint=meant)
    chosen = list(choices(recipe))
    settings = {each.key: each.settings(where) for each in chosen}
    for each in chosen:
        _require_written(each, settings[each.key], where)
    whole = Recipe.model_validate(_completed(recipe, settings))
    # Each requirement of all choices, before the next of any.
    for require in (_require_companions, require_fit, _require_checked, _require_verbs):
        for each in chosen:
            with _told(each, where):
                require(each, whole)
    try:
        require_divisible(whole)
    except UsageError as error:
        raise UsageError(led(where, "split", str(error))) from error
    return recipe


def _require_written(chosen: Chosen, settings: Settings, where: Where) -> None:
    """Raise UsageError unless settings, written out in JSON with all defaults, are read back as the same."""
    try:
        written = json.loads(json.dumps(settings.model_dump(mode="json", warnings=False), allow_nan=False))
        why = "" if type(settings).model_validate(written) == settings else "they are others then; use plain types"
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        why = f"{'.'.join(map(str, problem['loc']))}: {message_of(problem)}; a default must be valid, "
        why += "and a tuple, date or other type that JSON has not takes Field(strict=False)"
    except ValueError as error:
        why = str(error)
    if why:
        file = f"{chosen.slot.folder}/{chosen.choice.name}.py"
        text = f"{chosen.key}: {file}: Settings cannot be written out and read back: {why}"
        raise UsageError(led(where, f"{chosen.key}.settings", text))


def complete(recipe: Recipe) -> dict[str, Any]:
    """Return a checked recipe as plain values, with every default written out, those of the slots' members too."""
    return _completed(recipe, {chosen.key: chosen.settings() for chosen in choices(recipe)})


def named_files(recipe: Recipe, root: Path) -> list[Path]:
    """Return the files under `root` that a recipe names: each choice's own, and those that go with a kind or a task."""
    return sorted(
        {
            root / slot.folder / f"{chosen.choice.name}.py"
            for chosen in choices(recipe)
            for slot in (chosen.slot, *_COMPANIONS.get(chosen.slot, ()))
        }
    )


def load_checked(root: Path) -> Recipe:
    """Read `params.yaml` under `root` as `checked` does."""
    return checked(parse_yaml(root / PARAMS_FILE), PARAMS_FILE)


def _completed(recipe: Recipe, settings: Mapping[str, BaseModel]) -> dict[str, Any]:
    values = copied(recipe.model_dump(mode="json"))
    for key, chosen in settings.items():
        set_dotted(values, f"{key}.settings", chosen.model_dump(mode="json"))
    return values


def _require_companions(chosen: Chosen, _: Recipe) -> None:
    for slot in _COMPANIONS.get(chosen.slot, ()):
        slot.file(chosen.choice.name)


def _require_verbs(chosen: Chosen, recipe: Recipe) -> None:  # noqa: ARG001 - as every requirement is called
    slot, module = chosen.slot, chosen.member()
    for verb in slot.verbs:
        if not any(callable(getattr(module, either, None)) for either in verb.split(" or ")):
            file = f"{slot.folder}/{chosen.choice.name}.py"
            raise UsageError(f"{file}: has no {verb}, which every {slot.what} has; see {slot.folder}/__init__.py")


def _require_checked(chosen: Chosen, recipe: Recipe) -> None:
    if check := getattr(chosen.member(), "check", None):
        check(chosen.settings(), recipe)


@contextmanager
def _told(chosen: Chosen, where: Where) -> Iterator[None]:
    """Lead what is refused of a choice by where it stands; whatever else its file raises is told in one line, too."""
    try:
        yield
    except UsageError as error:
        key, text = _FIRST_WORD.split(str(error), maxsplit=1)[0], str(error)
        if not is_key(key):
            key, text = chosen.key, f"{chosen.key}: {error}"
        raise UsageError(led(where, key, text)) from error
    except Exception as error:
        file = f"{chosen.slot.folder}/{chosen.choice.name}.py"
        text = f"{chosen.key}: {file}: its check ends with {type(error).__name__}: {error}"
        raise UsageError(led(where, chosen.key, text)) from error
