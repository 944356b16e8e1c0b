"""The sweep removes what runs have left behind, for as long as `execution.yaml` says, and nothing that goes on."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from pipeline.runs import workspaces
from pipeline.runs.locks import run_lock, stage_lock
from pipeline.runs.sweeping import sweep
from tests.runs.given import age, opened, write_files


def left(root: Path, name: str) -> Path:
    """Make an old workspace of which nobody has a record."""
    workspace = opened(root, name)
    shutil.rmtree(root / "runs" / name)
    age(workspace)
    return workspace


def test_a_workspace_without_a_record_is_removed(root: Path) -> None:
    workspace = left(root, "lost")
    assert sweep(root) == ["lost"]
    assert not workspace.exists()


def test_without_workspaces_nothing_is_swept(root: Path) -> None:
    assert sweep(root) == []


def test_a_workspace_made_this_moment_stays(root: Path) -> None:
    opened(root, "new")
    shutil.rmtree(root / "runs" / "new")
    assert sweep(root) == []


def test_where_a_run_works_nothing_is_removed(root: Path) -> None:
    left(root, "killed")
    with run_lock(left(root, "running")):
        age(workspaces.workspace_of(root, "running"))
        assert sweep(root) == ["killed"]
    assert workspaces.names(root) == ["running"]


def test_where_a_stage_works_nothing_is_removed(root: Path) -> None:
    workspace = left(root, "stepping")
    with stage_lock(workspace, "train"):
        age(workspace)
        assert sweep(root) == []
    age(workspace)
    assert sweep(root) == ["stepping"]


@pytest.mark.parametrize(
    ("state", "hours", "stays"),
    [
        ("failed", 1, True),
        ("failed", 100, False),
        ("running", 100, True),
        ("running", 200, False),
        ("success", 1, False),
    ],
)
def test_a_run_in_steps_stays_for_as_long_as_is_set(root: Path, state: str, hours: float, stays: bool) -> None:
    then = (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="seconds")
    workspace = opened(root, state=state, start=then, end=None if state == "running" else then)
    age(workspace)
    assert sweep(root) == ([] if stays else ["r1"])
    assert workspace.exists() == stays


@pytest.mark.parametrize("group", ["WORKSPACES", "WORKTREES"])  # the second as it was called before
def test_how_long_is_for_the_environment_to_say(root: Path, group: str) -> None:
    then = (datetime.now(UTC) - timedelta(hours=2)).isoformat(timespec="seconds")
    age(opened(root, state="failed", start=then, end=then))
    assert sweep(root, {f"RATCHET_{group}__FAILED_HOURS": "1"}) == ["r1"]


@pytest.mark.parametrize(("hours", "stays"), [(1, True), (100, False)])
def test_a_run_of_one_process_that_was_killed_stays_as_a_failed_one_does(root: Path, hours: int, stays: bool) -> None:
    then = (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="seconds")
    age(opened(root, driver="ratchet", start=then))
    assert sweep(root) == ([] if stays else ["r1"])


def test_runs_that_are_gone_are_removed_at_once_and_others_stay(root: Path) -> None:
    for name in ("r1", "r2"):
        opened(root, name)
    assert sweep(root, {}, ["r1", "unknown"]) == ["r1"]
    assert workspaces.names(root) == ["r2"]


def test_a_run_that_is_gone_is_not_removed_while_it_works(root: Path) -> None:
    with run_lock(opened(root)):
        assert sweep(root, {}, ["r1"]) == []


def test_what_was_never_whole_goes_in_time(root: Path) -> None:
    for name, is_old in ((".making-r1-7", True), (".making-r2-7", False), (".deep-r3", True)):
        write_files(root / workspaces.WORKSPACES / name, {"dvc.yaml": ""})
        if is_old:
            age(root / workspaces.WORKSPACES / name)
    assert sweep(root) == []
    assert [path.name for path in workspaces.half_made(root)] == [".making-r2-7"]


def test_a_workspace_with_folders_above_it_is_swept_whole(root: Path) -> None:
    write_files(root.parent, {"data/a": "1"})
    write_files(root, {"params.yaml": yaml.safe_dump({"name": "digits", "data": {"path": "../data"}})})
    left(root, "lost")
    assert sweep(root) == ["lost"]
    assert list((root / workspaces.WORKSPACES).iterdir()) == []
    assert (root.parent / "data" / "a").is_file()


def test_what_earlier_versions_left_is_removed_too(root: Path) -> None:
    write_files(root / ".worktrees", {"old/dvc.yaml": "", "open/dvc.yaml": ""})
    opened(root, "open")
    assert sweep(root) == ["old"]
    assert [path.name for path in (root / ".worktrees").iterdir()] == ["open"]
