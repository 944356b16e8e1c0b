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

import ast
import hashlib
import importlib
import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, Field, model_validator

from pipeline.errors import UsageError, nearest
from pipeline.recipe.settings import Settings, validate

NAME = r"^[a-z][a-z0-9_]*$"
_NAME_LIMIT = 100
_LOOKS_LIKE_ONE = re.compile(r"^class Settings\(|^def build\(settings\b", re.MULTILINE)


@dataclass(frozen=True)
class Slot:
    """A slot: what its members are, and the package whose files they are. It marks a field of the recipe."""

    what: str
    package: str

    @property
    def folder(self) -> str:
        """The slot's folder, relative to the project."""
        return self.package.replace(".", "/")

    def names(self) -> list[str]:
        """Return the names that a recipe may use."""
        files = (file for path in self._paths() for file in path.glob("*.py"))
        return sorted(file.stem for file in files if re.match(NAME, file.stem))

    def file(self, name: str) -> Path:
        """Return the file of a member; raise UsageError, without its key, if there is none."""
        named = f"{name}.py" if re.match(NAME, name) and len(name) <= _NAME_LIMIT else ""
        for path in self._paths() if named else []:
            if (path / named).is_file():
                return path / named
            beside = path.parent / named
            if beside.is_file() and _LOOKS_LIKE_ONE.search(beside.read_text()):
                raise UsageError(f"{Path(self.folder).parent}/{named} is not looked at; move it to {path.name}/")
        raise UsageError(f"no {self.what} '{name:.80}' in {self.folder}{nearest(name[:80], self.names())}")

    def member(self, name: str) -> ModuleType:
        """Import a member; raise UsageError, without its key, if there is none or it cannot be imported."""
        file = self.file(name)
        try:
            module = importlib.import_module(f"{self.package}.{name}")
        except (ImportError, SyntaxError) as error:
            raise UsageError(
                f"{self.folder}/{file.name}: cannot be imported: {error}; what is heavy is imported in the functions "
                "that use it, and a class Settings comes from pipeline.recipe.settings"
            ) from error
        kind = getattr(module, "Settings", None)
        if not (isinstance(kind, type) and issubclass(kind, Settings)):
            raise UsageError(f"{self.folder}/{file.name}: has no class Settings(pipeline.recipe.settings.Settings)")
        return module

    def settings(self, choice: Choice | Feature, where: str) -> Any:
        """Return the typed settings of a choice, defaults included; raise UsageError, led by `where`."""
        try:
            module = self.member(choice.name)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error
        return validate(module.Settings, choice.settings, f"{where} {choice.name}: settings")

    def _paths(self) -> list[Path]:
        found = importlib.util.find_spec(self.package)
        return [Path(path) for path in (found.submodule_search_locations or ())] if found else []


class Choice(Settings):
    """One of several ways: a file in the slot's folder by its name, and that file's settings."""

    name: str = Field(pattern=NAME, max_length=_NAME_LIMIT, description="file in the slot's folder")
    settings: dict[str, Any] = Field(default_factory=dict, description="its settings; absent ones have its defaults")

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class Feature(Settings):
    """One named input of the model: its kind, a file in the slot's folder, and that kind's settings."""

    kind: str = Field(pattern=NAME, max_length=_NAME_LIMIT, description="file in pipeline/data/features/")
    settings: dict[str, Any] = Field(default_factory=dict, description="its settings; absent ones have its defaults")

    @model_validator(mode="before")
    @classmethod
    def _bare_kind(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @property
    def name(self) -> str:
        """The name of the slot's member."""
        return self.kind


@dataclass(frozen=True)
class Chosen:
    """A choice that a recipe makes: its key there, its slot, and the choice."""

    key: str
    slot: Slot
    choice: Choice | Feature

    def settings(self) -> Any:
        """Return its typed settings, defaults included; raise UsageError led by its key."""
        return self.slot.settings(self.choice, self.key)

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


def code_digest(file: Path) -> str:
    """Return `sha256:<hex>` of what a member's file does: comments, docstrings and descriptions make no difference."""
    tree = _WithoutWords().visit(ast.parse(file.read_bytes(), str(file)))
    return "sha256:" + hashlib.sha256(ast.dump(tree).encode()).hexdigest()


class _WithoutWords(ast.NodeTransformer):
    """Takes docstrings, and the descriptions of fields, out of a syntax tree."""

    def _without_docstring(self, node: Any) -> Any:
        self.generic_visit(node)
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node

    visit_Module = visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _without_docstring  # noqa: N815

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "Field":
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "description"]
        return node
