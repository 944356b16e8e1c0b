"""A run with its own recipe works in a worktree of its own, and sees what the person sees."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import StorageError, UsageError
from pipeline.recipe.strict_yaml import parse_yaml
from pipeline.runs import workspaces
from tests.runs.given import git, recipe_of


def recipe(path: str = "source") -> dict[str, Any]:
    return {"seed": 2, "data": {"path": path}}


def test_the_worktree_has_its_own_recipe_and_the_projects_stays(root: Path) -> None:
    before = recipe_of(root)
    workspace = workspaces.make(root, "r1", recipe())
    assert workspace == workspaces.workspace_of(root, "r1")
    assert parse_yaml(workspace / "params.yaml") == recipe()
    assert recipe_of(root) == before


def test_the_worktree_shares_the_projects_cache(root: Path) -> None:
    workspace = workspaces.make(root, "r1", recipe())
    assert (workspace / ".dvc" / "config.local").read_text() == f"[cache]\n    dir = {root}/.dvc/cache\n"


def test_a_cache_that_stands_elsewhere_is_shared_from_there(root: Path) -> None:
    (root / ".dvc" / "config").write_text("[cache]\n    dir = ../../elsewhere\n")
    workspace = workspaces.make(root, "r1", recipe())
    assert f"dir = {root.parent}/elsewhere\n" in (workspace / ".dvc" / "config.local").read_text()


def test_what_is_changed_but_not_committed_runs_too(root: Path) -> None:
    (root / "pipeline" / "code.py").write_text("changed")
    (root / "new.txt").write_text("new")
    (root / "staged.txt").write_text("staged")
    git(root, "add", "staged.txt")
    workspace = workspaces.make(root, "r1", recipe())
    assert (workspace / "pipeline" / "code.py").read_text() == "changed"
    assert (workspace / "new.txt").read_text() == "new"
    assert (workspace / "staged.txt").read_text() == "staged"


def test_what_is_removed_but_not_committed_is_not_there(root: Path) -> None:
    (root / "gone.txt").unlink()
    assert not (workspaces.make(root, "r1", recipe()) / "gone.txt").exists()


def test_a_source_that_git_ignores_is_read_where_it_stands(root: Path) -> None:
    (root / "ignored").mkdir()
    (root / "ignored" / "data").write_text("x")
    workspace = workspaces.make(root, "r1", recipe("ignored"))
    assert (workspace / "ignored" / "data").read_text() == "x"
    workspaces.remove(root, workspace)
    assert (root / "ignored" / "data").read_text() == "x"


def test_of_a_removed_worktree_nothing_is_left_and_git_has_forgotten_it(root: Path) -> None:
    workspace = workspaces.make(root, "r1", recipe())
    workspaces.remove(root, workspace)
    assert not workspace.exists()
    assert len(git(root, "worktree", "list").splitlines()) == 1
    workspaces.remove(root, workspace)  # once more does nothing


def test_of_a_worktree_that_cannot_be_finished_nothing_is_left(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(workspaces, "_share_cache", fail)
    with pytest.raises(StorageError, match="r1: cannot be written: Permission denied"):
        workspaces.make(root, "r1", recipe())
    assert not workspaces.workspace_of(root, "r1").exists()
    assert len(git(root, "worktree", "list").splitlines()) == 1


def test_without_a_commit_the_error_says_what_to_do(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    with pytest.raises(UsageError, match="git commit"):
        workspaces.make(tmp_path, "r1", recipe())
