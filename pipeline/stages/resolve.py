"""Completes the recipe: params.yaml → reports/recipe.json, on which every other stage depends for its parameters.

A default that stands in code only, or the code of a file that the recipe names, decides a result too. So both are
written out here, and a change of either re-runs what depends on it. The contracts are read, so that one that promises
nothing is refused before any work.
"""

from __future__ import annotations

from pathlib import Path

import pipeline
from pipeline.contracts.suites import read_suite
from pipeline.errors import UsageError
from pipeline.recipe.code_digest import code_digest
from pipeline.recipe.fitting import columns_of, mixed_columns
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.recipe.resolving import CODE, RESOLVED_FILE, complete, named_files
from pipeline.recipe.settings import set_dotted
from pipeline.recipe.slots import choices
from pipeline.stages.context import StageContext
from pipeline.storage.artifacts import write_json


def run(stage: StageContext) -> str:
    """Publish `reports/recipe.json`: every value of the recipe, and a digest of each file that it names."""
    recipe = stage.recipe()
    if recipe.train.device == "auto":
        raise UsageError(
            f"{PARAMS_FILE}: train.device: auto is resolved when a run opens, and `dvc repro` by hand opens none: "
            "use `ratchet run`, or write cpu or gpu"
        )
    for data in ("raw", "prepared"):
        read_suite(
            stage.dep(f"{recipe.data.contracts}/{data}.yaml"), columns_of(recipe, data), mixed_columns(recipe, data)
        )
    values = complete(recipe)
    set_dotted(values, f"{CODE}.augmentation.steps", {})  # a recipe without steps has none; it is a parameter
    package = Path(pipeline.__file__).parent
    for file in named_files(recipe, package.parent):
        key = ".".join((CODE, *file.relative_to(package).with_suffix("").parts))
        set_dotted(values, key, code_digest(file))
    write_json(stage.out(RESOLVED_FILE), values)
    return ", ".join(dict.fromkeys(chosen.choice.name for chosen in choices(recipe)))
