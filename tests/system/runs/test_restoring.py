"""A run that is opened again, with real DVC: its outputs come back, and a source that has grown is not missed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import yaml

from pipeline.errors import StorageError
from pipeline.runs import history, restoring, steps, workspaces
from tests.runs.given import contents, opened, write_files

STAGES = {
    "ingest": {"cmd": "cat source/rows.csv > raw.csv", "deps": ["source"], "outs": ["raw.csv"]},
    "judge": {"cmd": "wc -c raw.csv > verdict.txt", "deps": ["raw.csv"], "outs": ["verdict.txt"]},
}


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without git whose stages are commands that DVC itself can run."""
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    root = tmp_path / "project"
    write_files(
        root,
        {
            ".dvc/config": "",
            "dvc.yaml": yaml.safe_dump({"stages": STAGES}),
            "params.yaml": yaml.safe_dump({"name": "digits", "data": {"path": "source"}}),
            "execution.yaml": "{}",
            "source/rows.csv": "1,2,3",
        },
    )
    return root


def test_real_outputs_come_back_from_the_cache_and_a_source_that_has_grown_is_not_missed(real: Path) -> None:
    opened(real)
    for stage in STAGES:
        assert steps.run_stage(real, "r1", stage).state == "running"  # such a command reports no end
    steps.close_run(real, "r1", "success")
    before = contents(real / "runs" / "r1")
    (real / "source" / "rows.csv").write_text("1,2,3,4")
    assert restoring.open_again(real, history.read(real, "r1"), os.environ).attempt == 2
    workspace = workspaces.workspace_of(real, "r1")
    assert ((workspace / "raw.csv").read_text(), (workspace / "verdict.txt").read_text()) == ("1,2,3", "5 raw.csv\n")
    assert steps.run_stage(real, "r1", "judge").state == "unchanged"
    steps.close_run(real, "r1", "success")
    after = contents(real / "runs" / "r1")
    assert {name: after[name] for name in before} == before
    assert after["attempts/2/dvc.lock"] == before["dvc.lock"]
    shutil.rmtree(real / ".dvc" / "cache" / "files")
    shutil.rmtree(real / ".dvc" / "cache" / "runs")
    with pytest.raises(
        StorageError, match="ingest: has to run again, but source is no longer what this run began with"
    ):
        steps.run_stage(real, "r1", "judge")
