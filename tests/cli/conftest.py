"""A project for commands, and how they are given."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.given import ROOT


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project's own files, as the current folder."""
    for name in ("dvc.yaml", "params.yaml", "execution.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("pipeline", "data_contracts", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path
