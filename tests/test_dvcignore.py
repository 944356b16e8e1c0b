"""Where DVC looks for stages, also without git to tell it what to leave out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo

ROOT = Path(__file__).parents[1]
STAGE = "stages:\n  only:\n    cmd: 'true'\n"


@pytest.mark.parametrize(
    "folder", [".venv/lib", ".venv-airflow/lib", "runs/1", "registry", ".ratchet/a/.b", ".airflow"]
)
def test_dvc_finds_no_stages_in_what_a_machine_keeps_for_itself(tmp_path: Path, folder: str) -> None:
    shutil.copyfile(ROOT / ".dvcignore", tmp_path / ".dvcignore")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    for place in (tmp_path, tmp_path / folder):
        place.mkdir(parents=True, exist_ok=True)
        (place / "dvc.yaml").write_text(STAGE)
    with Repo(tmp_path) as repo:
        assert [stage.path_in_repo for stage in repo.index.stages] == ["dvc.yaml"]
