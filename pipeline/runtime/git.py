"""The one way to call git, and the questions Ratchet asks of it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StorageError, UsageError

_TIMEOUT_S = 600.0  # a checkout on a slow disk, several times


@dataclass(frozen=True)
class Commit:
    """The commit that is checked out in a folder, and whether tracked files differ from it."""

    digest: str
    is_dirty: bool


def git(folder: Path, *arguments: str) -> str:
    """Return what git prints in a folder. It takes no optional locks, so that it never blocks a commit being made.

    Raises UsageError if git is not installed, StorageError with git's own words if it refuses or does not answer.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except FileNotFoundError as error:
        raise UsageError("git is not installed; run `make setup`") from error
    except subprocess.TimeoutExpired as error:
        raise StorageError(f"git {arguments[0]} did not answer within {_TIMEOUT_S:g} s in {folder}") from error
    if done.returncode != 0:
        raise StorageError(f"git {arguments[0]} failed in {folder}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def has_commit(folder: Path) -> bool:
    """Return whether a folder is in a git repository that has a commit. Raises UsageError if git is not installed."""
    try:
        git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    except StorageError:
        return False
    return True


def commit_of(folder: Path, *, ignored: str) -> Commit:
    """Return the commit that is checked out in a folder; changes to the file `ignored` do not count.

    Raises UsageError if git is not installed, StorageError outside a repository or without a commit.
    """
    digest = git(folder, "rev-parse", "HEAD").strip()
    changes = git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".", f":(exclude){ignored}")
    return Commit(digest, bool(changes.strip()))


def main_checkout(root: Path) -> Path:
    """Return the folder of the main checkout that corresponds to `root`; `root` itself outside a repository."""
    try:
        answer = git(root, "rev-parse", "--path-format=absolute", "--git-common-dir", "--show-toplevel")
    except (StorageError, UsageError):
        return root.resolve()
    common, top = map(Path, answer.splitlines())
    if common.name != ".git":
        return root.resolve()  # a submodule, or a bare repository: there is no main checkout
    return common.parent / root.resolve().relative_to(top.resolve())
