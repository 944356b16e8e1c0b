"""Runs work the same with any git around the project, and with none; git is left as it was."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.surroundings.conftest import MakeSmall
from tests.surroundings.small import Small, commit_all, git, works, works_in_every_way


def picture(*folders: Path) -> dict[str, str]:
    """Everything that git keeps of each repository: index, references, hooks, worktrees, settings."""
    found = {}
    for folder in folders:
        common = Path(git(folder, "rev-parse", "--path-format=absolute", "--git-common-dir").strip())
        own = Path(git(folder, "rev-parse", "--path-format=absolute", "--git-dir").strip())
        for path in (own / "index", common / "config", common / "packed-refs", *sorted((common / "hooks").glob("*"))):
            found[str(path)] = path.read_bytes().hex() if path.is_file() else "none"
        for question in (
            ["worktree", "list", "--porcelain"],
            ["for-each-ref"],
            ["rev-parse", "HEAD"],
            ["stash", "list"],
        ):
            found[f"{folder} {question[0]}"] = git(folder, *question)
    return found


def status(folder: Path) -> list[str]:
    """What git would tell the user, but for the two files that are changed here: the recipe, and the lock."""
    lines = git(folder, "status", "--porcelain", "--untracked-files=all").splitlines()
    return [line for line in lines if not line.endswith(("params.yaml", "dvc.lock"))]


def works_under_git(
    small: Small, *others: Path, in_way: Callable[[Small], dict[str, Any]] = works_in_every_way
) -> None:
    """Every way works, each run knows the commit, and git is as it was, in the project and in other repositories."""
    head = git(small.root, "rev-parse", "HEAD").strip()
    before, told = picture(small.root, *others), status(small.root)
    seen = in_way(small)
    assert seen["commit"] == head
    assert picture(small.root, *others) == before
    assert status(small.root) == told
    assert {run["commit"] for run in small.runs()} == {head}


def test_without_any_git_and_without_a_repository(small: MakeSmall, tmp_path: Path) -> None:
    project = small()
    tools = tmp_path / "tools"
    tools.mkdir()
    java = shutil.which("java")
    assert java
    (tools / "java").symlink_to(java)
    project = project.with_variables(PATH=f"{project.python.parent}{os.pathsep}{tools}")
    assert shutil.which("git", path=project.environment["PATH"]) is None
    seen = works_in_every_way(project)
    assert seen["commit"] is None
    assert [(run["commit"], run["is_dirty"]) for run in project.runs()] == [(None, None)] * 3


def test_in_a_repository_without_a_commit(small: MakeSmall) -> None:
    project = small()
    git(project.root, "init", "--quiet")
    assert project.seen(project.run("seed=7"))["commit"] is None


def test_in_a_subfolder_of_a_repository(small: MakeSmall, tmp_path: Path) -> None:
    project = small(tmp_path / "repository" / "models" / "digits")
    commit_all(tmp_path / "repository")
    works_under_git(project)


def test_in_a_submodule(small: MakeSmall, tmp_path: Path) -> None:
    commit_all(small(tmp_path / "own").root)
    outer = tmp_path / "outer"
    outer.mkdir()
    commit_all(outer)
    git(outer, "submodule", "--quiet", "add", str(tmp_path / "own"), "digits")
    commit_all(outer)
    shutil.copytree(tmp_path / "own" / "pipeline", outer / "digits" / "pipeline", dirs_exist_ok=True)  # as compiled
    works_under_git(in_folder(small, tmp_path, outer / "digits"), outer)


def in_folder(small: MakeSmall, tmp_path: Path, root: Path) -> Small:
    """The small project that git has put into a folder."""
    made = small(tmp_path / "unused")
    return Small(root, made.variables)


def test_in_a_linked_worktree(small: MakeSmall, tmp_path: Path) -> None:
    main = small(tmp_path / "main")
    commit_all(main.root)
    git(main.root, "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    main_before = main.listing()
    works_under_git(in_folder(small, tmp_path, tmp_path / "linked"), main.root)
    assert main.listing() == main_before
    assert not (main.root / "runs").exists()
    assert not (main.root / "registry").exists()


def test_in_a_linked_worktree_of_a_bare_repository(small: MakeSmall, tmp_path: Path) -> None:
    commit_all(small(tmp_path / "first").root)
    git(tmp_path, "clone", "--quiet", "--bare", str(tmp_path / "first"), str(tmp_path / "bare.git"))
    git(tmp_path / "bare.git", "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    works_under_git(in_folder(small, tmp_path, tmp_path / "linked"), in_way=works)


def test_in_a_shallow_clone_with_a_detached_head(small: MakeSmall, tmp_path: Path) -> None:
    first = small(tmp_path / "first")
    commit_all(first.root)
    commit_all(first.root)
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{first.root}", str(tmp_path / "clone"))
    git(tmp_path / "clone", "checkout", "--quiet", "--detach")
    works_under_git(in_folder(small, tmp_path, tmp_path / "clone"), in_way=works)


def test_with_the_hooks_of_dvc_and_the_filters_of_a_git_lfs_that_is_not_installed(small: MakeSmall) -> None:
    project = small()
    (project.root / ".gitattributes").write_text("*.gz filter=lfs diff=lfs merge=lfs -text\n")
    commit_all(project.root)
    for key, value in {"required": "true", "process": "none-such filter-process", "clean": "none-such %f"}.items():
        git(project.root, "config", f"filter.lfs.{key}", value)
    installed = project.call("dvc", "install")
    assert installed.returncode == 0, installed.stderr
    hooks = project.root / ".git" / "hooks"
    assert (hooks / "post-checkout").is_file()
    for hook in ("pre-commit", "post-checkout", "post-index-change", "reference-transaction"):  # none is ever called
        (hooks / hook).write_text(f"#!/bin/sh\necho {hook} >> {project.aside}/called\nexit 1\n")
        (hooks / hook).chmod(0o755)
    works_under_git(project)
    assert not (project.aside / "called").exists()


@pytest.mark.parametrize("is_own", [True, False], ids=["its-own-repository", "another-repository"])
def test_started_inside_a_git_hook(small: MakeSmall, tmp_path: Path, is_own: bool) -> None:
    project = small()
    commit_all(project.root)
    other = project.root if is_own else tmp_path / "other"
    other.mkdir(exist_ok=True)
    (other / "theirs").write_text("theirs")
    commit_all(other)
    variables = {
        "GIT_DIR": f"{other}/.git",
        "GIT_WORK_TREE": str(other),
        "GIT_INDEX_FILE": f"{other}/.git/index",
        "GIT_PREFIX": "",
        "GIT_AUTHOR_NAME": "somebody",
    }
    works_under_git(project.with_variables(**variables), other, in_way=works_in_every_way if is_own else works)
    assert status(other) == []
    if not is_own:
        assert sorted(path.name for path in other.iterdir()) == [".git", "theirs"]
