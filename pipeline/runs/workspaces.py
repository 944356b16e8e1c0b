"""One run, one git worktree: with a recipe of its own, sharing the DVC cache, so that two runs never interfere.

A worktree holds the commit that is checked out, plus all changes not yet committed: what runs is what the person sees.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import StorageError, UsageError
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.runtime.git import git, has_commit
from pipeline.storage.artifacts import write_file

WORKTREES = ".worktrees"
WORK = Path(".ratchet")  # in each workspace: locks, logs, and intermediate files


def stage_folder(workspace: Path, stage: str) -> Path:
    """Return the folder where a stage that is run alone keeps its lock, its events and DVC's output."""
    return workspace / WORK / "stages" / stage


def workspace_of(root: Path, run_id: str) -> Path:
    """Return where a run's worktree is, or would be."""
    return root / WORKTREES / run_id


def make(root: Path, run_id: str, recipe: dict[str, Any]) -> Path:
    """Make a run's worktree with its own `params.yaml`; return its folder, which stays until `remove` or a `sweep`."""
    workspace = workspace_of(root, run_id)
    if not has_commit(root):
        raise UsageError(f"{root}: a run with its own recipe needs a git repository with a commit; `git commit` first")
    try:
        git(root, "worktree", "add", "--quiet", "--detach", str(workspace), "HEAD")
        _overlay_uncommitted(root, workspace)
        write_file(workspace / PARAMS_FILE, yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True).encode())
        _share_cache(root, workspace)
        _link_source(root, workspace, str(recipe["data"]["path"]))
    except OSError as error:
        remove(root, workspace)
        raise StorageError(f"{workspace}: cannot be written: {error.strerror or error}") from error
    except BaseException:
        remove(root, workspace)
        raise
    return workspace


def remove(root: Path, workspace: Path) -> None:
    """Remove a worktree; do nothing if it is gone."""
    shutil.rmtree(workspace, ignore_errors=True)
    if has_commit(root):
        git(root, "worktree", "prune")


def _overlay_uncommitted(root: Path, workspace: Path) -> None:
    changed = git(root, "ls-files", "-z", "--modified", "--others", "--exclude-standard")
    staged = git(root, "diff", "--cached", "--name-only", "-z", "HEAD")
    for name in set(filter(None, (changed + staged).split("\0"))):
        source, target = root / name, workspace / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
        else:
            target.unlink(missing_ok=True)


def _share_cache(root: Path, workspace: Path) -> None:
    cache = _dvc_cache(root)
    write_file(workspace / ".dvc" / "config.local", f"[cache]\n    dir = {cache}\n".encode())


def _dvc_cache(root: Path) -> Path:
    import configparser

    for config in (root / ".dvc" / "config.local", root / ".dvc" / "config"):
        parser = configparser.ConfigParser()
        parser.read(config)
        if parser.has_option("cache", "dir"):
            return (config.parent / parser.get("cache", "dir")).resolve()
    return root / ".dvc" / "cache"


def _link_source(root: Path, workspace: Path, path: str) -> None:
    # A source inside the project that git ignores is not in the worktree; it is read where it is.
    if not Path(path).is_absolute() and not (workspace / path).exists() and (root / path).exists():
        (workspace / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace / path).symlink_to((root / path).resolve())
