"""Small projects for all tests of this folder: copies of one, each with a home of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.surroundings.small import Small, make_template, write_graph

MakeSmall = Callable[..., Small]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project that all others are copied from."""
    return make_template(tmp_path_factory.mktemp("template") / "project")


@pytest.fixture
def small(template: Path, tmp_path: Path) -> MakeSmall:
    """Make a small project: `small(path)`; with other stages, `small(path, stages=…)`."""

    def make(root: Path | None = None, stages: dict[str, dict[str, Any]] | None = None) -> Small:
        root = root or tmp_path / "project"
        shutil.copytree(template, root, symlinks=True)
        aside = tmp_path / "aside"
        for name in ("home", "tmp"):
            (aside / name).mkdir(parents=True, exist_ok=True)
        project = Small(root, {"HOME": str(aside / "home"), "TMPDIR": str(aside / "tmp")})
        if stages:
            write_graph(root, stages)
            project = Small(root, project.variables, stages=tuple(stages))
        return project

    return make
