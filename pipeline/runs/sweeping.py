"""Removes the workspaces that killed, failed and abandoned runs have left behind."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.errors import RatchetError, UsageError
from pipeline.recipe.execution import WorkspaceSettings, load_execution
from pipeline.runs import history, workspaces
from pipeline.runs.locks import is_run_going_on

_NEW_S = 60.0  # a workspace younger than this may not be locked yet
_WORKTREES = ".worktrees"  # where runs worked before they had workspaces


def sweep(root: Path, environment: Mapping[str, str] | None = None, gone: Collection[str] = ()) -> list[str]:
    """Remove workspaces that `execution.yaml` no longer keeps, of ended or abandoned runs; return the runs' ids.

    Those of the runs that are `gone`, as who drove them says, are removed whatever their age.
    """
    settings = load_execution(root, environment).workspaces
    swept = []
    for run_id in workspaces.names(root):
        workspace = workspaces.workspace_of(root, run_id)
        is_kept = _is_new(workspace) or _is_wanted(root, run_id, settings)
        if (is_kept and run_id not in gone) or is_run_going_on(workspace):
            continue
        workspaces.remove(root, run_id)
        swept.append(run_id)
    for folder in workspaces.half_made(root):
        if not _is_new(folder) and not is_run_going_on(folder):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in sorted((root / _WORKTREES).glob("*/")):
        if not _is_wanted(root, folder.name, settings) and not is_run_going_on(folder):
            shutil.rmtree(folder, ignore_errors=True)
            swept.append(folder.name)
    return swept


def _is_new(folder: Path) -> bool:
    try:
        return time.time() - folder.lstat().st_mtime < _NEW_S
    except FileNotFoundError:
        return True  # another process has just removed it


def _is_wanted(root: Path, run_id: str, settings: WorkspaceSettings) -> bool:
    try:
        record = history.read(root, run_id)
    except UsageError:
        return False  # killed before it had a record
    except RatchetError:
        return True  # its record is damaged: nobody knows
    # What one process drives is not running if its lock is free.
    is_open = record.state == "running" and record.driver == "airflow"
    hours = settings.forgotten_hours if is_open else settings.failed_hours
    since = datetime.fromisoformat(record.end or record.start)
    return record.state != "success" and datetime.now(UTC) - since < timedelta(hours=hours)
