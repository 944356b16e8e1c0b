"""Slots: where the recipe chooses one of several ways, the name is a file in the slot's folder.

    train:
      optimizer: adam                                    # a bare name is shorthand for
      optimizer: {name: adam, settings: {beta_1: 0.9}}   # the name, and the settings of that file

A file in the folder is a member of the slot: it has a class `Settings`, and what the slot's users call. It is imported
to check a recipe, in Airflow's environment too, so it imports only the standard library, pydantic and this room at its
top. `check(settings, recipe)`, if it has one, refuses what can be known before any work. Nothing lists the members: to
add one is to add a file.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from pydantic import BaseModel, Field, model_validator

from pipeline.errors import UsageError, nearest
from pipeline.recipe.settings import Settings, Where, led, validate

NAME = r"^[a-z][a-z0-9_]*$"
_NAME_LIMIT = 100
_LOOKS_LIKE_ONE = re.compile(r"^class Settings\(|^def build\(settings\b", re.MULTILINE)


class Slot(NamedTuple):
    """A slot: what its members are, the package whose files they are, and the verbs that each has to have.

    Where either of two is enough, it is `one or other`. It marks a field of the recipe.
    """

    what: str
    package: str
    verbs: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The slot's folder, relative to the project."""
        return self.package.replace(".", "/")

    def names(self) -> list[str]:
        """Return the names that a recipe may use."""
        files = (file for folder in self._folders() for file in os.scandir(folder))
        return sorted(file.name[:-3] for file in files if file.name.endswith(".py") and _is_name(file.name[:-3]))

    def file(self, name: str) -> Path:
        """Return the file of a member; raise UsageError, without its key, if there is none."""
        for folder in self._folders() if _is_name(name) else []:
            path = Path(folder)
            file = path / f"{name}.py"
            if file.is_file():
                return file
            beside = path.parent / file.name
            if beside.is_file() and _LOOKS_LIKE_ONE.search(beside.read_text(errors="replace")):
                raise UsageError(f"{Path(self.folder).parent}/{file.name} is not looked at; move it to {path.name}/")
        raise UsageError(f"no {self.what} {name!r:.80} in {self.folder}{nearest(name[:80], self.names())}")

    def member(self, name: str) -> ModuleType:
        """Import a member; raise UsageError, without its key, if there is none or its file is not one."""
        module = _imported(self, name)
        # As text: Airflow asks this many times at every parse.
        if not any(os.path.isfile(f"{folder}/{name}.py") for folder in self._folders()):  # noqa: PTH113
            self.file(name)  # it was removed since it was imported: raises
        return module

    def settings(self, choice: Choice | Feature, key: str, where: Where = "") -> Any:
        """Return the typed settings of a choice, defaults included; raise UsageError led by `where` and its key."""
        try:
            module = self.member(choice.name)
        except UsageError as error:
            raise UsageError(led(where, f"{key}.{choice.label}", f"{key}: {error}")) from error
        try:
            return validate(module.Settings, choice.settings, where, f"{key}.settings")
        except UsageError:
            raise
        except Exception as error:  # of a validator of its own
            text = f"{key}: {self.folder}/{choice.name}.py: Settings: {type(error).__name__}: {error}"
            raise UsageError(led(where, f"{key}.settings", text)) from error

    def _folders(self) -> list[str]:
        return list(importlib.import_module(self.package).__path__)


@cache  # what is imported stays so
def _imported(slot: Slot, name: str) -> ModuleType:
    file = slot.file(name).name
    shown = f"{slot.folder}/{file}"
    try:
        module = importlib.import_module(f"{slot.package}.{name}")
    except (Exception, SystemExit) as error:  # whatever a file does when it is imported
        raise UsageError(
            f"{shown}: cannot be imported: {type(error).__name__}: {error}; what is heavy is imported in the functions "
            "that use it, and a class Settings comes from pipeline.recipe.settings"
        ) from error
    if Path(module.__file__ or "").name != file:
        raise UsageError(f"{shown}: the folder {name}/ beside it is imported in its place; rename one of them")
    kind = getattr(module, "Settings", None)
    if not (isinstance(kind, type) and issubclass(kind, Settings)):
        raise UsageError(f"{shown}: has no class Settings(pipeline.recipe.settings.Settings)")
    try:
        kind.model_rebuild()
    except Exception as error:  # of whatever pydantic cannot make a type
        raise UsageError(f"{shown}: class Settings: {type(error).__name__}: {error!s:.300}") from error
    return module


def _is_name(text: str) -> bool:
    return len(text) <= _NAME_LIMIT and re.fullmatch(NAME, text) is not None and text.isascii() and text == text.strip()


class Choice(Settings):
    """One of several ways: a file in the slot's folder by its name, and that file's settings."""

    name: str = Field(pattern=NAME, max_length=_NAME_LIMIT, description="file in the slot's folder")
    settings: dict[str, Any] = Field(default_factory=dict, description="its settings; absent ones have its defaults")

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return _spelt_out(value, "name")

    @property
    def label(self) -> str:
        """The key under which its name stands."""
        return "name"


class Feature(Settings):
    """One named input of the model: its kind, a file in the slot's folder, and that kind's settings."""

    kind: str = Field(pattern=NAME, max_length=_NAME_LIMIT, description="file in pipeline/data/features/")
    settings: dict[str, Any] = Field(default_factory=dict, description="its settings; absent ones have its defaults")

    @model_validator(mode="before")
    @classmethod
    def _bare_kind(cls, value: Any) -> Any:
        return _spelt_out(value, "kind")

    @property
    def name(self) -> str:
        """The name of the slot's member."""
        return self.kind

    @property
    def label(self) -> str:
        """The key under which its name stands."""
        return "kind"


def _spelt_out(value: Any, label: str) -> Any:
    """Return a bare name as the group of keys that it is short for."""
    if isinstance(value, str):
        return {label: value}
    if not isinstance(value, Mapping | Settings):
        raise ValueError(f"a name is needed, or {{{label}: …, settings: {{…}}}}")
    return value


class Chosen(NamedTuple):
    """A choice that a recipe makes: its key there, its slot, and the choice."""

    key: str
    slot: Slot
    choice: Choice | Feature

    def settings(self, where: Where = "") -> Any:
        """Return its typed settings, defaults included; raise UsageError led by where they stand, and by their key."""
        return self.slot.settings(self.choice, self.key, where)

    def member(self) -> ModuleType:
        """Return its module."""
        return self.slot.member(self.choice.name)


def choices(values: BaseModel, prefix: str = "") -> Iterator[Chosen]:
    """Yield every choice that a recipe, or a group of it, makes: in mappings and lists too."""
    for name, info in type(values).model_fields.items():
        key, value = prefix + name, getattr(values, name)
        slot = next((mark for mark in info.metadata if isinstance(mark, Slot)), None)
        if slot is None:
            if isinstance(value, BaseModel):
                yield from choices(value, f"{key}.")
        elif isinstance(value, Mapping):
            yield from (Chosen(f"{key}.{part}", slot, choice) for part, choice in value.items())
        elif isinstance(value, tuple):
            yield from (Chosen(f"{key}.{part}", slot, choice) for part, choice in enumerate(value))
        else:
            yield Chosen(key, slot, value)
