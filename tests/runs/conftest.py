"""Projects under git."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from tests.runs.given import IGNORED, commit_all

ROOT = Path(__file__).parents[2]
DVC = {
    "stages": {
        "ingest": {"cmd": "ratchet stage ingest", "outs": ["data/raw"]},
        "label": {"cmd": "ratchet stage label", "outs": ["data/labels"]},
    }
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small project with two stages that do not need each other."""
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    (root / "pipeline").mkdir()
    (root / "pipeline" / "code.py").write_text("committed")
    (root / "gone.txt").write_text("committed")
    (root / "dvc.yaml").write_text(yaml.safe_dump(DVC))
    (root / "params.yaml").write_text(yaml.safe_dump({"name": "digits", "data": {"path": "source"}}))
    (root / "execution.yaml").write_text("horovod: {workers: 4}\nspark: {master: 'local[2]'}\n")
    (root / ".gitignore").write_text(IGNORED)
    commit_all(root)
    return root


@pytest.fixture
def recipe_root(tmp_path: Path) -> Path:
    """A project with the graph and the recipe of this one."""
    root = tmp_path / "project"
    (root / "samples").mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml", "execution.yaml", ".gitignore"):
        shutil.copy(ROOT / name, root)
    commit_all(root)
    return root
