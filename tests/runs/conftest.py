"""A project with two stages that do not need each other."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.runs.given import IGNORED, commit_all

DVC = {
    "stages": {
        "ingest": {"cmd": "ratchet stage ingest", "outs": ["data/raw"]},
        "label": {"cmd": "ratchet stage label", "outs": ["data/labels"]},
    }
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The project's folder, under git, all of it committed."""
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
