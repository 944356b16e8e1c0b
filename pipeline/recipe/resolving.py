"""The complete recipe: every default written out, every slot's choice checked by the file it names.

One resolver serves `params.yaml`, `--set`, the preflight, the first stage, Airflow's parse and its form.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.recipe.fitting import require_fit
from pipeline.recipe.recipe import FEATURE, PARAMS_FILE, TASK, Recipe
from pipeline.recipe.settings import copied, set_dotted, validate
from pipeline.recipe.slots import choices
from pipeline.recipe.strict_yaml import parse_yaml

RESOLVED_FILE = "reports/recipe.json"
CODE = "code"
# What a kind of feature, and a task, is in other rooms: files of the same name.
_COMPANIONS = {
    FEATURE: ("pipeline/models/preprocessing",),
    TASK: ("pipeline/models/outputs", "pipeline/training/objectives"),
}


def checked(values: Any, where: str) -> Recipe:
    """Return plain values as a recipe, its slots' choices checked.

    Raises UsageError, led by `where`, for whatever can be known from the recipe: an unknown key, a value out of range,
    a name that no file has, a setting that its file refuses, choices that do not fit each other.
    """
    recipe = validate(Recipe, values, where)
    for chosen in choices(recipe):
        try:
            settings = chosen.settings()
            require_fit(chosen, recipe)
            check = getattr(chosen.member(), "check", None)
            if check is not None:
                check(settings, recipe)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error
    return recipe


def complete(recipe: Recipe) -> dict[str, Any]:
    """Return a checked recipe as plain values, with every default written out, those of the slots' members too."""
    values = recipe.model_dump(mode="json")
    complete = copied(values)
    for chosen in choices(recipe):
        set_dotted(complete, f"{chosen.key}.settings", chosen.settings().model_dump(mode="json"))
    return complete


def named_files(recipe: Recipe, root: Path) -> list[Path]:
    """Return the files under `root` that a recipe names: each choice's own, and those that go with a kind or a task."""
    files = set()
    for chosen in choices(recipe):
        folders = (chosen.slot.folder, *_COMPANIONS.get(chosen.slot, ()))
        files |= {root / folder / f"{chosen.choice.name}.py" for folder in folders}
    return sorted(files)


def load_checked(root: Path) -> Recipe:
    """Read `params.yaml` under `root` as `checked` does."""
    return checked(parse_yaml(root / PARAMS_FILE), PARAMS_FILE)
