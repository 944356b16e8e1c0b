"""A stage in a project of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.graph import Stage
from pipeline.recipe.execution import Execution
from pipeline.recipe.recipe import load_recipe
from pipeline.stages.context import StageContext

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a project's folder, with a package that decides nothing."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text('"""Only a docstring."""\n')
    return tmp_path


@pytest.fixture
def context(root: Path) -> StageContext:
    """Return what stage `train` may see of it."""
    stage = Stage(
        "train",
        "x",
        deps=("data/in", "pipeline/declared.py", "pipeline/room"),
        outs=("models/out",),
        params=("train", "seed", "data.features"),
        volatile=("logs",),
    )
    return StageContext(root, stage, load_recipe(ROOT), Execution())
