"""A run that is opened again is what it was: its outputs come back, and what it has left stays as it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import StorageError
from pipeline.records.run import RunRecord
from pipeline.runs import history, restoring, steps, workspaces
from tests.runs.given import contents, opened, write_files

REPORT = '{"record": 1}'


@pytest.fixture
def brought_back(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, Path]]:
    """In which workspaces outputs were to be brought back, and where the logs of that went. DVC is not asked."""
    asked: list[tuple[Path, Path]] = []
    monkeypatch.setattr(restoring, "bring_back", lambda workspace, _, logs: asked.append((workspace, logs)))
    return asked


def finished(root: Path, state: Any = "success", **changes: Any) -> RunRecord:
    """Have a run that is over, with a lock, a report that DVC keeps nowhere, and no workspace."""
    workspace = opened(root, **changes)
    write_files(
        workspace, {"dvc.lock": "schema: '2.0'\nstages:\n  label:\n    cmd: x\n", "reports/by_hand.json": REPORT}
    )
    steps.close_run(root, "r1", state, "why")
    workspaces.remove(root, "r1")
    return history.read(root, "r1")


def open_again(root: Path) -> RunRecord:
    return restoring.open_again(root, history.read(root, "r1"), os.environ)


def test_a_run_that_is_over_gets_another_attempt(root: Path, brought_back: list[Any]) -> None:
    before = finished(root)
    again = open_again(root)
    assert (again.attempt, again.state, again.end, again.outcome, again.sentence) == (2, "running", None, None, "")
    assert (again.photograph, again.folder) == (before.photograph, "runs/r1/attempts/2")
    workspace = workspaces.workspace_of(root, "r1")
    assert brought_back == [(workspace, root / "runs/r1/attempts/2/logs")]
    assert (workspace / "dvc.lock").read_bytes() == (root / "runs/r1/dvc.lock").read_bytes()
    assert [one.attempt for one in history.attempts_of(root, "r1")] == [1, 2]


def test_what_it_has_left_stays_byte_for_byte(root: Path, brought_back: list[Any]) -> None:
    finished(root)
    before = contents(root / "runs" / "r1")
    open_again(root)
    write_files(workspaces.workspace_of(root, "r1"), {"reports/by_hand.json": "other", "dvc.lock": "schema: '2.0'\n"})
    steps.close_run(root, "r1", "failed", "worse")
    third = open_again(root)
    steps.close_run(root, "r1", "success")
    assert third.attempt == 3
    after = contents(root / "runs" / "r1")
    assert {name: after[name] for name in before} == before
    assert after["attempts/2/reports/by_hand.json"] == b"other"
    assert history.attempts_of(root, "r1")[1].sentence == "worse"


def test_reports_that_dvc_does_not_keep_come_back_from_the_evidence(root: Path, brought_back: list[Any]) -> None:
    finished(root)
    open_again(root)
    workspace = workspaces.workspace_of(root, "r1")
    assert (workspace / "reports" / "by_hand.json").read_text() == REPORT
    assert sorted(path.stem for path in (workspace / history.ROWS).iterdir()) == ["ingest", "label"]


def test_what_dvc_has_brought_back_is_not_written_over(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(root)
    monkeypatch.setattr(
        restoring,
        "bring_back",
        lambda workspace, *_: write_files(workspace, {"reports/by_hand.json": "from the cache"}),
    )
    open_again(root)
    assert (workspaces.workspace_of(root, "r1") / "reports" / "by_hand.json").read_text() == "from the cache"


def test_a_run_that_goes_on_is_the_same_attempt(root: Path, brought_back: list[Any]) -> None:
    opened(root)
    workspaces.remove(root, "r1")
    again = open_again(root)
    assert (again.attempt, again.state) == (1, "running")
    assert workspaces.is_whole(workspaces.workspace_of(root, "r1"))
    assert brought_back == []  # nothing was made yet


def test_a_failed_run_whose_workspace_is_there_goes_on_in_it(root: Path, brought_back: list[Any]) -> None:
    workspace = opened(root)
    write_files(workspace, {"made": "by a stage"})
    steps.close_run(root, "r1", "failed")
    assert open_again(root).attempt == 2
    assert (workspace / "made").is_file()
    assert brought_back == []


def test_killed_while_outputs_come_back_the_next_try_brings_them(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(root)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(restoring, "bring_back", killed)
    with pytest.raises(KeyboardInterrupt):
        open_again(root)
    asked: list[Path] = []
    monkeypatch.setattr(restoring, "bring_back", lambda workspace, *_: asked.append(workspace))
    assert open_again(root).attempt == 2
    assert open_again(root).attempt == 2
    assert asked == [workspaces.workspace_of(root, "r1")]


def test_a_run_of_before_there_were_photographs_is_told_to_start_anew(root: Path, brought_back: list[Any]) -> None:
    finished(root, photograph=None)
    with pytest.raises(StorageError, match=r"run r1: its workspace is gone .* start a new run"):
        open_again(root)


def test_a_photograph_that_is_gone_is_told_and_the_record_stays(root: Path, brought_back: list[Any]) -> None:
    before = finished(root)
    shutil.rmtree(root / ".dvc" / "cache")
    with pytest.raises(StorageError, match="ratchet runs pull"):
        open_again(root)
    assert history.read(root, "r1") == before
    assert workspaces.names(root) == []


def test_a_repeated_run_has_an_id_of_its_own_and_begins_with_the_others_photograph(
    root: Path, brought_back: list[Any]
) -> None:
    before = finished(root, inputs="sha256:1", overrides={"seed": 3}, config="configs/a.yaml")
    evidence = contents(root / "runs" / "r1")
    new = restoring.repeat(root, before, os.environ)
    assert new.id != "r1"
    assert (new.repeats, new.attempt, new.state, new.driver) == ("r1", 1, "running", "ratchet")
    assert (new.photograph, new.inputs, new.overrides) == (before.photograph, before.inputs, before.overrides)
    workspace = workspaces.workspace_of(root, new.id)
    assert (workspace / "reports" / "by_hand.json").read_text() == REPORT
    assert contents(root / "runs" / "r1") == evidence
