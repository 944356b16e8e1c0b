"""One file per model in `configs/`: recipe changes on top of `params.yaml`, and how Airflow schedules the model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline.errors import RatchetError, UsageError, nearest
from pipeline.recipe.layers import Layers
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.recipe.settings import Settings, validate
from pipeline.recipe.strict_yaml import parse_yaml

CONFIGS = "configs"  # the folder, in the project's
_SUFFIX = ".yaml"
_PATH = r"^[^\x00-\x1f]+$"


class Approval(Settings):
    """A person's approval, required before a candidate that has passed the gate is published."""

    deadline_hours: float = Field(gt=0, le=24 * 30, description="no answer within that is a no, hours")


class Scoring(Settings):
    """What is scored by each new champion, as `ratchet score INPUT OUTPUT --by-version` does."""

    input: str = Field(
        min_length=1, max_length=4096, pattern=_PATH, description="what the config's source reads: a folder, or a file"
    )
    output: str = Field(
        min_length=1, max_length=4096, pattern=_PATH, description="folder in which each version's scores have their own"
    )


class Config(Settings):
    """The content of one file in `configs/`."""

    description: str = Field(default="", description="one line for people")
    owner: str = Field(default="ratchet", description="who is called")
    schedule: str | None = Field(default=None, description="cron expression; none: only when asked")
    watch: str | None = Field(
        default=None, description="cron expression: how often to look whether the source has changed; none: never"
    )
    approval: Approval | None = Field(default=None, description="ask a person before promotion; none: the gate decides")
    score: Scoring | None = Field(default=None, description="score a source by each new champion; none: do not")
    tags: tuple[str, ...] = Field(default=(), strict=False, description="labels in Airflow")
    recipe: dict[str, Any] = Field(default_factory=dict, description="changes to params.yaml")


def config_files(root: Path) -> list[Path]:
    """Return the configs of a project, by name."""
    return sorted((root / CONFIGS).glob(f"*{_SUFFIX}"))


def passed_over(root: Path) -> list[str]:
    """Return a line for each file in `configs/` that looks like a config, and by its name is none."""
    names = sorted(path.name for path in (root / CONFIGS).glob("*.*") if path.suffix.lower() in (".yml", ".yaml"))
    return [
        f"{CONFIGS}/{name}: passed over, because its name does not end in {_SUFFIX}; rename it"
        for name in names
        if not name.endswith(_SUFFIX)
    ]


def competing(models: Mapping[str, str]) -> list[str]:
    """Return a line for each model name under which several configs publish, from the name of each config's model."""
    lines = []
    for model in sorted(set(models.values())):
        files = sorted(file for file, name in models.items() if name == model)
        if len(files) > 1:
            lines.append(
                f"{', '.join(files[:-1])} and {files[-1]} publish under one model name, '{model}', and so compete for "
                "one champion; give each a name of its own: recipe: {name: …}"
            )
    return lines


def models(root: Path) -> dict[str, str]:
    """Return the model name under which each config publishes; a config that cannot be read is left out."""
    try:
        own = parse_yaml(root / PARAMS_FILE).get("name")
    except RatchetError:
        return {}
    found = {}
    for path in config_files(root):
        with suppress(RatchetError):
            found[f"{CONFIGS}/{path.name}"] = str(load_config(path).recipe.get("name", own))
    return found


def load_config(path: Path) -> Config:
    """Read one config file; raise UsageError naming the nearest file in its folder if it does not exist."""
    if not os.path.lexists(path):
        folder = path.parent if path.parent.is_dir() else Path("configs")
        raise UsageError(f"{path}: no such config{nearest(path.name, (file.name for file in folder.glob('*.yaml')))}")
    if path.suffix != _SUFFIX:
        raise UsageError(f"{path}: a config's name ends in {_SUFFIX}; rename it to {path.stem}{_SUFFIX}")
    return validate(Config, parse_yaml(path), str(path))


def recipe_layers(root: Path, name: str | None = None) -> Layers:
    """Return the recipe of `params.yaml`, with the changes of a config on top, `name` relative to `root`."""
    layers = Layers.of(parse_yaml(root / PARAMS_FILE), PARAMS_FILE)
    return layers.overlaid(load_config(root / name).recipe, name) if name else layers
