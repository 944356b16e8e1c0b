"""A source, an architecture, an optimizer, a schedule and a step are added as one file each, and nothing is edited.

They are used from the recipe, `--set`, a config and the form. tests/system/test_added_files.py runs them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.recipe.conftest import ROOT

ADDED = Path(__file__).parent / "added"
CHOICES = {
    "data.source": "arrays",
    "model": "linear",
    "train.optimizer": "rms",
    "train.schedule": "halving",
    "augment.steps": ["warp", {"name": "darken", "settings": {"share": 0.2}}],
}
SETTINGS = {"test_rows": 360, "has_bias": True, "rho": 0.9, "times": 4, "share": 0.2}
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())

# What the drivers do with the recipe in the folder they are started in, and with what is asked of them: once for each
# line of its input, each time in a process of its own, forked when what they all need is loaded.
ASK = """
import json, os, sys
from pathlib import Path
from dags import form
from pipeline.errors import UsageError
from pipeline.recipe.configs import recipe_layers
from pipeline.recipe.resolving import checked, complete, named_files

def answer(config, overrides, filled_in, lines, conf):
    root = Path(".")
    try:
        layers = recipe_layers(root, config)
        recipe = checked(layers.values, layers.where)
        fields = form.fields(recipe)
        params = {key: field.default for key, field in fields.items()} | filled_in | {"overrides": lines} | conf
        asked = form.changes(params, recipe, conf)
        layers = layers.overridden({**overrides, **asked}, "--set")
        recipe = checked(layers.values, layers.where)
    except UsageError as error:
        return {"refused": str(error)}
    return {
        "recipe": complete(recipe),
        "files": [str(path) for path in named_files(recipe, root)],
        "fields": {key: [field.default, dict(field.schema)] for key, field in fields.items()},
    }

for line in sys.stdin:
    if os.fork() == 0:
        print(json.dumps(answer(*json.loads(line))), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project, with five files laid beside its own."""
    root = tmp_path_factory.mktemp("project")
    for folder in ("pipeline", "dags"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    files = [file.relative_to(ADDED) for file in sorted(ADDED.rglob("*.py"))]
    assert len(files) == 5
    for file in files:
        assert not (root / "pipeline" / file).exists()
        shutil.copyfile(ADDED / file, root / "pipeline" / file)
    return root


class Asked:
    """Asks what the drivers make of a recipe."""

    def __init__(self, project: Path, process: subprocess.Popen[str]) -> None:
        self.project = project
        self._process = process

    def __call__(
        self,
        config: str = "",
        overrides: dict[str, Any] | None = None,
        filled_in: dict[str, Any] | None = None,
        lines: list[str] | None = None,
        conf: dict[str, Any] | None = None,
    ) -> Any:
        question = [config, overrides or {}, filled_in or {}, lines or [], conf or {}]
        print(json.dumps(question), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="module")
def ask(project: Path) -> Iterator[Asked]:
    with subprocess.Popen(
        [sys.executable, "-c", ASK],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Asked(project, process)


def with_choices(values: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe that makes the five choices in the recipe's own shape."""
    return {
        **values,
        "data": {**values.get("data", {}), "source": CHOICES["data.source"]},
        "model": CHOICES["model"],
        "train": {
            **values.get("train", {}),
            "optimizer": CHOICES["train.optimizer"],
            "schedule": CHOICES["train.schedule"],
        },
        "augment": {**values.get("augment", {}), "steps": CHOICES["augment.steps"]},
    }


def require_all_five(said: Any) -> None:
    recipe = said["recipe"]
    chosen = [recipe["data"]["source"], recipe["model"], recipe["train"]["optimizer"], recipe["train"]["schedule"]]
    chosen.append(recipe["augment"]["steps"][1])
    assert [each["name"] for each in chosen] == ["arrays", "linear", "rms", "halving", "darken"]
    assert {key: value for each in chosen for key, value in each["settings"].items()} == SETTINGS
    added = {f"pipeline/{file.relative_to(ADDED)}" for file in ADDED.rglob("*.py")}
    assert added <= set(said["files"])


def test_the_recipe_names_them(ask: Asked) -> None:
    (ask.project / "params.yaml").write_text(yaml.safe_dump(with_choices(PARAMS)))
    try:
        require_all_five(ask())
    finally:
        (ask.project / "params.yaml").write_text(yaml.safe_dump(PARAMS))


def test_set_names_them(ask: Asked) -> None:
    require_all_five(ask(overrides=CHOICES))


def test_a_config_names_them(ask: Asked) -> None:
    (ask.project / "configs").mkdir()
    (ask.project / "configs" / "five.yaml").write_text(yaml.safe_dump({"recipe": with_choices({})}))
    require_all_five(ask("configs/five.yaml"))


def test_the_form_offers_them_and_takes_them(ask: Asked) -> None:
    offered = ask()["fields"]
    filled_in = {
        "data.source.name": "arrays",
        "model.name": "linear",
        "train.optimizer.name": "rms",
        "train.schedule.name": "halving",
        "augment.steps.1.name": "darken",
    }
    for key, name in filled_in.items():
        assert name in offered[key][1]["enum"]
    require_all_five(ask(filled_in=filled_in, lines=["augment.steps.1.settings.share=0.2"]))


def test_a_triggers_conf_names_them(ask: Asked) -> None:
    require_all_five(ask(conf=CHOICES))


def test_the_form_of_a_recipe_that_names_them_has_their_settings(ask: Asked) -> None:
    (ask.project / "params.yaml").write_text(yaml.safe_dump(with_choices(PARAMS)))
    try:
        fields = ask()["fields"]
    finally:
        (ask.project / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    assert fields["train.optimizer.settings.rho"][0] == 0.9
    assert fields["model.settings.has_bias"][1]["type"] == "boolean"
    assert fields["augment.steps.1.settings.share"][1]["exclusiveMaximum"] == 1


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            {"train.optimizer": "rsm"},
            "--set: train.optimizer: no optimizer 'rsm' in pipeline/training/optimizers (did you ",
        ),
        (
            {"train.optimizer": "rms", "train.optimizer.settings.rh": 0.5},
            "--set: unknown key 'train.optimizer.settings.rh' (did you mean 'train.optimizer.settings.rho'?)",
        ),
        ({"model": {"name": "linear", "settings": {"has_bias": 1}}}, "--set: model.settings.has_bias: "),
    ],
)
def test_they_are_checked_as_those_that_are_shipped(ask: Asked, overrides: dict[str, Any], line: str) -> None:
    assert ask(overrides=overrides)["refused"].startswith(line)


@pytest.mark.long
def test_files_that_no_recipe_names_change_nothing(ask: Asked) -> None:
    from pipeline.recipe.resolving import complete, load_checked, named_files

    said = ask()
    assert said["recipe"] == complete(load_checked(ROOT))
    assert said["files"] == [str(path.relative_to(ROOT)) for path in named_files(load_checked(ROOT), ROOT)]
