"""Projects without git, on a machine where DVC has no configuration of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from tests.runs.given import write_files

ROOT = Path(__file__).parents[2]
DVC = {
    "stages": {
        "ingest": {"cmd": "ratchet stage ingest", "deps": ["${data.path}"], "outs": ["data/raw"]},
        "label": {"cmd": "ratchet stage label", "deps": ["pipeline"], "outs": ["data/labels"]},
    }
}


@pytest.fixture(autouse=True)
def _no_configuration_of_this_machine(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path_factory.getbasetemp() / name))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small project with two stages that do not need each other."""
    root = tmp_path / "project"
    write_files(
        root,
        {
            ".dvc/config": "",
            "dvc.yaml": yaml.safe_dump(DVC),
            "params.yaml": yaml.safe_dump({"name": "digits", "data": {"path": "source"}}),
            "execution.yaml": "horovod: {workers: 4}\nspark: {master: 'local[2]'}\n",
            "pipeline/code.py": "the code",
            "source/rows.csv": "1,2,3",
            "source/more/rows.csv": "4,5,6",
        },
    )
    return root


@pytest.fixture
def recipe_root(tmp_path: Path) -> Path:
    """A project with the graph and the recipe of this one, and a source."""
    root = tmp_path / "project"
    write_files(root, {".dvc/config": "", "samples/fashion_mnist/rows": "1,2,3", "pipeline/code.py": "the code"})
    for name in ("dvc.yaml", "params.yaml", "execution.yaml"):
        shutil.copy(ROOT / name, root)
    return root
