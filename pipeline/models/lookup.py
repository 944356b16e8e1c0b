"""Finds an architecture by its name in the recipe."""

from __future__ import annotations

import importlib
import pkgutil
import typing
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from pipeline.errors import UsageError, nearest
from pipeline.models import architectures
from pipeline.recipe.settings import Settings, validate


def architecture_names() -> list[str]:
    """Return the names a recipe may use: the files in `architectures/`."""
    return sorted(module.name for module in pkgutil.iter_modules(architectures.__path__))


def checked_settings(name: str, settings: Mapping[str, Any]) -> Settings:
    """Return the typed settings of an architecture; raise UsageError for an unknown name or a wrong setting."""
    return validate(_settings_class(architecture_module(name)), settings, f"model.settings of {name}")


def architecture_module(name: str) -> ModuleType:
    """Return the module of an architecture; raise UsageError, with the nearest name, if there is none."""
    if name not in architecture_names():
        raise UsageError(
            f"model.name: no architecture '{name}' in pipeline/models/architectures"
            f"{nearest(name, architecture_names())}"
        )
    return importlib.import_module(f"pipeline.models.architectures.{name}")


def _settings_class(module: ModuleType) -> type[Settings]:
    kind: type[Settings] = typing.get_type_hints(module.build)["settings"]
    return kind
