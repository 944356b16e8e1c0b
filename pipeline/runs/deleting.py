"""Deletes runs that are over: their workspace, then their evidence.

A run's folder first takes a name that no run can have, and is removed under that: after a kill the run is there whole,
or it is gone. The workspace goes first: one without a run would be taken for that of the next run of the same id.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StorageError, TryAgain
from pipeline.records.run import RUNS
from pipeline.runs import history, workspaces
from pipeline.runs.locks import is_run_going_on, maker_lock

_DELETING = ".deleting-"


@dataclass(frozen=True)
class Deletion:
    """What deleting a run removes: folders relative to the project, and the bytes that only they hold.

    `named_by` are the runs that say they found its result, or repeat it.
    """

    run_id: str
    folders: tuple[str, ...]
    size_bytes: int
    named_by: tuple[str, ...]


def plan(root: Path, run_ids: Sequence[str]) -> list[Deletion]:
    """Return what deleting runs would remove. Raises UsageError for an unknown run, TryAgain if one still goes on."""
    ids = list(dict.fromkeys(run_ids))
    for run_id in ids:
        _require_over(root, run_id)
    others = [record for record in history.list_runs(root) if record.id not in ids]
    return [
        Deletion(
            run_id,
            folders := tuple(_folders(root, run_id)),
            sum(_size_of(root / folder) for folder in folders),
            tuple(sorted(one.id for one in others if run_id in (one.same_as, one.repeats))),
        )
        for run_id in ids
    ]


def delete(root: Path, run_ids: Iterable[str]) -> None:
    """Delete runs; also finish what an earlier, killed deletion has left. Raises as `plan` does."""
    for run_id in run_ids:
        with maker_lock(root):  # so that nobody opens it meanwhile
            _require_over(root, run_id)
            workspaces.remove(root, run_id)
            folder = root / RUNS / run_id
            try:
                folder.rename(folder.with_name(f"{_DELETING}{run_id}-{os.getpid()}"))
            except OSError as error:
                raise StorageError(f"{folder}: cannot be removed: {error.strerror}") from error
    with maker_lock(root):
        for leftover in sorted((root / RUNS).glob(f"{_DELETING}*")):
            shutil.rmtree(leftover, ignore_errors=True)


def _require_over(root: Path, run_id: str) -> None:
    record = history.read(root, run_id)
    if record.state == "running" or is_run_going_on(workspaces.workspace_of(root, run_id)):
        raise TryAgain(
            f"run {run_id} goes on; wait for it, or end it with `ratchet runs close {run_id} --state failed`"
        )


def _folders(root: Path, run_id: str) -> list[str]:
    found = [f"{RUNS}/{run_id}"]
    if os.path.lexists(workspaces.workspace_of(root, run_id)):
        found.append(f"{workspaces.WORKSPACES}/{run_id}")
    return found


def _size_of(folder: Path) -> int:
    """Return the bytes that removing a folder frees: a file with another name elsewhere stays there."""
    statuses = [path.lstat() for path in folder.resolve().rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(status.st_size for status in statuses if status.st_nlink == 1)
