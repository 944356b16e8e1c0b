"""A run with its own recipe works in a worktree of its own, and sees what the person sees."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import TryAgain, UsageError
from pipeline.graph import find_root
from pipeline.recipe.strict_yaml import parse_yaml
from pipeline.runs import workspaces
from pipeline.runs.locks import run_lock, stage_lock


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    (root / "pipeline").mkdir()
    (root / "pipeline" / "code.py").write_text("committed")
    (root / "gone.txt").write_text("committed")
    (root / ".gitignore").write_text("/.worktrees/\n/runs/\n/ignored/\n.dvc/config.local\n/.ratchet/\n")
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / "params.yaml").write_text("seed: 1\n")
    git(root, "init", "--quiet")
    git(root, "add", "-A")
    git(root, "commit", "--quiet", "-m", "start")
    return root


def recipe(path: str = "source") -> dict[str, Any]:
    return {"seed": 2, "data": {"path": path}}


def test_the_worktree_has_its_own_recipe_and_the_shared_cache(root: Path) -> None:
    with workspaces.worktree(root, "r1", recipe()) as workspace:
        assert parse_yaml(workspace / "params.yaml") == recipe()
        assert str(root / ".dvc" / "cache") in (workspace / ".dvc" / "config.local").read_text()
        assert (root / "params.yaml").read_text() == "seed: 1\n"
    assert not workspace.exists()
    listed = subprocess.run(["git", "-C", str(root), "worktree", "list"], check=True, capture_output=True, text=True)
    assert len(listed.stdout.splitlines()) == 1


def test_what_is_changed_but_not_committed_runs_too(root: Path) -> None:
    (root / "pipeline" / "code.py").write_text("changed")
    (root / "new.txt").write_text("new")
    (root / "staged.txt").write_text("staged")
    git(root, "add", "staged.txt")
    (root / "gone.txt").unlink()
    with workspaces.worktree(root, "r1", recipe()) as workspace:
        assert (workspace / "pipeline" / "code.py").read_text() == "changed"
        assert (workspace / "new.txt").read_text() == "new"
        assert (workspace / "staged.txt").read_text() == "staged"
        assert not (workspace / "gone.txt").exists()


def test_a_source_that_git_ignores_is_read_where_it_stands(root: Path) -> None:
    (root / "ignored").mkdir()
    (root / "ignored" / "data").write_text("x")
    with workspaces.worktree(root, "r1", recipe("ignored")) as workspace:
        assert (workspace / "ignored" / "data").read_text() == "x"
    assert (root / "ignored" / "data").read_text() == "x"


def test_the_worktree_goes_when_the_run_fails(root: Path) -> None:
    with pytest.raises(RuntimeError), workspaces.worktree(root, "r1", recipe()) as workspace:
        raise RuntimeError
    assert not workspace.exists()


def test_the_sweep_removes_what_killed_runs_left_and_nothing_that_runs(root: Path) -> None:
    old_s = 1_000_000_000
    for name in ("killed", "running"):
        git(root, "worktree", "add", "--detach", str(root / ".worktrees" / name), "HEAD")
        (root / ".worktrees" / name / ".ratchet").mkdir()
        os.utime(root / ".worktrees" / name, (old_s, old_s))
    with (root / ".worktrees" / "running" / ".ratchet" / "run.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert workspaces.sweep(root) == ["killed"]
    assert [path.name for path in (root / ".worktrees").iterdir()] == ["running"]


def test_the_sweep_leaves_what_is_still_wanted(root: Path) -> None:
    old_s = 1_000_000_000
    for name in ("failed", "forgotten"):
        os.utime(workspaces.make(root, name, recipe()), (old_s, old_s))
    assert workspaces.sweep(root, lambda run_id: run_id == "failed") == ["forgotten"]
    assert (root / ".worktrees" / "failed" / "params.yaml").is_file()


def test_two_runs_never_work_in_one_place(root: Path) -> None:
    refused = pytest.raises(TryAgain, match=f"process {os.getpid()}")
    with run_lock(root), refused, run_lock(root, patience_s=0.3):
        pass
    with run_lock(root):
        pass


def test_stages_share_a_place_with_each_other_and_not_with_a_run(root: Path) -> None:
    with stage_lock(root, "train"), stage_lock(root, "champion"):
        with pytest.raises(TryAgain), stage_lock(root, "train"):
            pass
        with pytest.raises(TryAgain), run_lock(root):
            pass
    with run_lock(root), pytest.raises(TryAgain), stage_lock(root, "train"):
        pass
    with stage_lock(root, "train"):
        pass


def test_the_sweep_leaves_a_place_in_which_a_stage_works(root: Path) -> None:
    workspace = workspaces.make(root, "stepping", recipe())
    with stage_lock(workspace, "train"):
        os.utime(workspace, (1_000_000_000, 1_000_000_000))
        assert workspaces.sweep(root) == []
    assert workspaces.sweep(root) == ["stepping"]


def test_without_a_commit_the_error_says_what_to_do(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    with pytest.raises(UsageError, match="git commit"), workspaces.worktree(tmp_path, "r1", recipe()):
        pass


def test_outside_a_project_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not inside a Ratchet project"):
        find_root(tmp_path)
