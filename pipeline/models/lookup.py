"""Finds an architecture by its name in the recipe."""

from __future__ import annotations

import importlib
import pkgutil
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.errors import UsageError, nearest
from pipeline.models import architectures
from pipeline.recipe.settings import Settings, validate

_BUILD = re.compile(r"^def build\(settings\b", re.MULTILINE)  # what makes a file an architecture


def architecture_names() -> list[str]:
    """Return the names a recipe may use: the files in `architectures/`."""
    return sorted(module.name for module in pkgutil.iter_modules(architectures.__path__))


def checked_settings(name: str, settings: Mapping[str, Any]) -> Settings:
    """Return the typed settings of an architecture; raise UsageError for an unknown name or a wrong setting."""
    return validate(_settings_class(architecture_module(name)), settings, f"model.settings of {name}")


def architecture_module(name: str) -> ModuleType:
    """Return the module of an architecture; raise UsageError, with the nearest name, if there is none."""
    if name not in architecture_names():
        folder = Path(architectures.__path__[0])
        elsewhere = folder.parent / f"{name}.py"
        if elsewhere.is_file() and _BUILD.search(elsewhere.read_text()):
            raise UsageError(f"model.name: pipeline/models/{name}.py is not looked at; move it to {folder.name}/")
        raise UsageError(
            f"model.name: no architecture '{name}' in pipeline/models/architectures"
            f"{nearest(name, architecture_names())}"
        )
    try:
        return importlib.import_module(f"pipeline.models.architectures.{name}")
    except ImportError as error:
        raise UsageError(
            f"pipeline/models/architectures/{name}.py: cannot be imported: {error}; "
            "Settings is in pipeline.recipe.settings, shared layers are in pipeline.models.layers"
        ) from error


def _settings_class(module: ModuleType) -> type[Settings]:
    kind: type[Settings] = typing.get_type_hints(module.build)["settings"]
    return kind
