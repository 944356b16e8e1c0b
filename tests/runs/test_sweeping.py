"""The sweep removes what runs have left behind, for as long as `execution.yaml` says, and nothing that goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.runs import workspaces
from pipeline.runs.locks import run_lock, stage_lock
from pipeline.runs.sweeping import sweep
from tests.runs.given import age, git, opened, recipe_of


def left(root: Path, name: str) -> Path:
    """Make an old worktree of which nobody has a record."""
    workspace = workspaces.make(root, name, recipe_of(root))
    age(workspace)
    return workspace


def test_a_worktree_without_a_record_is_removed_and_git_forgets_it(root: Path) -> None:
    workspace = left(root, "lost")
    assert sweep(root) == ["lost"]
    assert not workspace.exists()
    assert len(git(root, "worktree", "list").splitlines()) == 1


def test_without_worktrees_nothing_is_swept(root: Path) -> None:
    assert sweep(root) == []


def test_a_worktree_made_this_moment_stays(root: Path) -> None:
    workspaces.make(root, "new", recipe_of(root))
    assert sweep(root) == []


def test_where_a_run_works_nothing_is_removed(root: Path) -> None:
    left(root, "killed")
    with run_lock(left(root, "running")):
        age(root / ".worktrees" / "running")
        assert sweep(root) == ["killed"]
    assert [path.name for path in (root / ".worktrees").iterdir()] == ["running"]


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


def test_how_long_is_for_the_environment_to_say(root: Path) -> None:
    then = (datetime.now(UTC) - timedelta(hours=2)).isoformat(timespec="seconds")
    age(opened(root, state="failed", start=then, end=then))
    assert sweep(root, {"RATCHET_WORKTREES__FAILED_HOURS": "1"}) == ["r1"]


def test_a_run_of_one_process_goes_by_its_lock_alone(root: Path) -> None:
    age(opened(root, driver="ratchet", pid=1))
    assert sweep(root) == ["r1"]
