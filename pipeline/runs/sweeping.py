"""Removes the worktrees that killed, failed and abandoned runs have left behind."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.errors import RatchetError
from pipeline.recipe.execution import WorkspaceSettings, load_execution
from pipeline.runs import history, workspaces
from pipeline.runs.locks import is_run_going_on
from pipeline.runs.workspaces import WORKTREES

_NEW_S = 60.0  # a worktree younger than this may not be locked yet


def sweep(root: Path, environment: Mapping[str, str] | None = None) -> list[str]:
    """Remove worktrees that `execution.yaml` no longer keeps, of ended or abandoned runs; return the runs' ids."""
    settings = load_execution(root, environment).workspaces
    swept = []
    for workspace in sorted((root / WORKTREES).glob("*/")):
        is_new = time.time() - workspace.stat().st_mtime < _NEW_S
        if is_new or _is_wanted(root, workspace.name, settings) or is_run_going_on(workspace):
            continue
        workspaces.remove(root, workspace)
        swept.append(workspace.name)
    return swept


def _is_wanted(root: Path, run_id: str, settings: WorkspaceSettings) -> bool:
    try:
        record = history.read(root, run_id)
    except RatchetError:
        return False  # killed before it had a record
    if record.driver != "airflow":
        return False  # one process drives it: its lock says whether it is running
    hours = settings.forgotten_hours if record.state == "running" else settings.failed_hours
    since = datetime.fromisoformat(record.end or record.start)
    return record.state != "success" and datetime.now(UTC) - since < timedelta(hours=hours)
