"""Small projects under git, and open runs in them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from pipeline.records.run import RunRecord
from pipeline.runs import history, workspaces

IGNORED = "/.worktrees/\n/runs/\n/ignored/\n/.ratchet/\n.dvc/config.local\n"
LONG_AGO_S = 1_000_000_000


def git(root: Path, *arguments: str) -> str:
    """Run git with a name of its own; return what it prints."""
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def commit_all(root: Path) -> None:
    """Make a repository of a folder, with all that is in it committed."""
    git(root, "init", "--quiet")
    git(root, "add", "-A")
    git(root, "commit", "--quiet", "-m", "start")


def record(run_id: str = "r1", **changes: Any) -> RunRecord:
    """The record of a run that goes on."""
    return RunRecord(id=run_id, driver="airflow", state="running", start="2026-11-22T10:00:00+00:00").changed(**changes)


def recipe_of(root: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((root / "params.yaml").read_text()))


def opened(root: Path, run_id: str = "r1", **changes: Any) -> Path:
    """Make an open run by hand, as `open_run` leaves it, and return its worktree."""
    history.write(root, record(run_id, **{"start": history.now(), **changes}))
    workspace = workspaces.make(root, run_id, recipe_of(root))
    history.keep(root, workspace, run_id)
    return workspace


def age(workspace: Path) -> None:
    """Make a worktree old enough to be swept."""
    os.utime(workspace, (LONG_AGO_S, LONG_AGO_S))
