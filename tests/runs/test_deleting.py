"""Runs that are over can be deleted; a kill leaves a whole run or none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pipeline.errors import TryAgain, UsageError
from pipeline.runs import deleting, history, workspaces
from pipeline.runs.locks import run_lock
from tests.runs.kept import finished, make_project


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


def with_workspace(root: Path, run_id: str) -> Path:
    workspace = workspaces.workspace_of(root, run_id)
    workspace.mkdir(parents=True)
    (workspace / "dvc.yaml").write_bytes(b"x" * 1000)
    return workspace


def test_what_would_go_is_said_and_nothing_goes(root: Path) -> None:
    finished(root)
    with_workspace(root, "r1")
    [one] = deleting.plan(root, ["r1", "r1"])
    assert one.folders == ("runs/r1", ".ratchet/workspaces/r1")
    sizes = [path.stat().st_size for path in (root / "runs/r1").rglob("*") if path.is_file()]
    assert one.size_bytes == sum(sizes) + 1000
    assert (root / "runs/r1").is_dir()


def test_what_has_another_name_elsewhere_frees_nothing(root: Path) -> None:
    finished(root)
    before = deleting.plan(root, ["r1"])[0].size_bytes
    os.link(with_workspace(root, "r1") / "dvc.yaml", root / "elsewhere")
    assert deleting.plan(root, ["r1"])[0].size_bytes == before


def test_runs_that_name_it_are_said(root: Path) -> None:
    finished(root, "r1")
    finished(root, "r2", same_as="r1", outcome="unchanged")
    finished(root, "r3", repeats="r1")
    assert deleting.plan(root, ["r1"])[0].named_by == ("r2", "r3")
    assert deleting.plan(root, ["r1", "r2"])[0].named_by == ("r3",)


def test_of_a_deleted_run_nothing_is_left_and_its_id_is_free(root: Path) -> None:
    finished(root, attempt=1)
    finished(root, attempt=2)
    finished(root, "r2")
    workspace = with_workspace(root, "r1")
    deleting.delete(root, ["r1"])
    assert not workspace.exists()
    assert [path.name for path in (root / "runs").iterdir()] == ["r2"]
    assert history.find(root, "r1") is None


@pytest.mark.parametrize("command", [deleting.plan, deleting.delete])
def test_a_run_that_goes_on_is_refused_in_one_line(root: Path, command: object) -> None:
    finished(root, "over")
    history.write(root, finished(root).changed(state="running", driver="airflow"))
    with pytest.raises(TryAgain, match=r"run r1 goes on; .*`ratchet runs close r1 --state failed`"):
        command(root, ["r1"])  # type: ignore[operator]


def test_a_run_whose_workspace_is_in_use_is_refused(root: Path) -> None:
    finished(root)
    with run_lock(with_workspace(root, "r1")), pytest.raises(TryAgain, match="goes on"):
        deleting.delete(root, ["r1"])
    assert (root / "runs/r1/record.json").is_file()


def test_if_one_is_unknown_none_is_deleted(root: Path) -> None:
    finished(root)
    with pytest.raises(UsageError, match="no run 'r9'"):
        deleting.plan(root, ["r1", "r9"])


def test_a_kill_before_the_evidence_goes_leaves_the_run_whole(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(root)
    with_workspace(root, "r1")

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(Killed):
            deleting.delete(root, ["r1"])
    assert history.read(root, "r1").state == "success"
    deleting.delete(root, ["r1"])
    assert not list((root / "runs").iterdir())


def test_a_kill_while_the_evidence_goes_leaves_no_half_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(root, "r1")
    finished(root, "r2")

    def killed(folder: Path, **_: object) -> None:
        if "deleting" in str(folder):
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(Killed):
            deleting.delete(root, ["r1"])
    assert [run.id for run in history.list_runs(root)] == ["r2"]
    assert history.find(root, "r1") is None
    deleting.delete(root, ["r2"])
    assert not list((root / "runs").iterdir())
