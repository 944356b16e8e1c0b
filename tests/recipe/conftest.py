"""Members of slots that stand in no file of the project."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.recipe import slots
from pipeline.recipe.recipe import ARCHITECTURE, AUGMENTATION, FEATURE, LOSS, OPTIMIZER, SCHEDULE, SOURCE, TASK
from pipeline.recipe.slots import Slot
from pipeline.recipe.strict_yaml import parse_yaml

ROOT = Path(__file__).parents[2]
SLOTS = (TASK, SOURCE, FEATURE, AUGMENTATION, ARCHITECTURE, LOSS, OPTIMIZER, SCHEDULE)


@pytest.fixture
def values() -> dict[str, Any]:
    """The recipe in force, as plain values."""
    return parse_yaml(ROOT / "params.yaml")


@pytest.fixture
def add(tmp_path: Path) -> Iterator[Callable[[Slot, str, str], Path]]:
    """Add a file to a slot's folder, for as long as the test lasts."""
    extended: list[Any] = []
    before = set(sys.modules)

    def add(slot: Slot, name: str, text: str) -> Path:
        folder = tmp_path / slot.package
        folder.mkdir(exist_ok=True)
        path = importlib.import_module(slot.package).__path__
        if str(folder) not in path:
            path.append(str(folder))
            extended.append((path, str(folder)))
        (folder / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return folder / f"{name}.py"

    yield add
    for path, folder in extended:
        path.remove(folder)
    for name in set(sys.modules) - before:
        if name.startswith("pipeline."):
            del sys.modules[name]
    slots._imported.cache_clear()
