"""A run in steps: what is asked is checked, what is lost is made again, what ran out of memory gets one lighter try.

The stages themselves do not run here: tests/system/ runs the real ones. Memory that runs out cannot be had on purpose
without taking the machine's, so DVC's run is replaced where that is tested.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import StorageError, TryAgain, UsageError
from pipeline.runs import history, steps, workspaces
from pipeline.runs.reproduction import StageFailed
from pipeline.runs.stage_rows import StageRow
from tests.runs.given import opened

_WAIT_S = 30.0


Reproduced = Callable[..., None]


def dvc_that(monkeypatch: pytest.MonkeyPatch, act: Reproduced) -> list[dict[str, Any]]:
    """Replace DVC's run; return what it was given each time."""
    calls: list[dict[str, Any]] = []

    def reproduce(
        workspace: Path, rows: dict[str, StageRow], _: Any, environment: dict[str, str], **asked: Any
    ) -> None:
        calls.append({"environment": environment, **asked})
        act(workspace, rows)

    monkeypatch.setattr(steps, "reproduce", reproduce)
    return calls


def succeed(workspace: Path, rows: dict[str, StageRow]) -> None:
    rows["ingest"].state, rows["ingest"].what, rows["ingest"].seconds = "done", "10 images", 1.0
    (workspace / "data").mkdir(exist_ok=True)


def test_a_stage_is_run_alone_and_what_happened_is_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = opened(root)
    calls = dvc_that(monkeypatch, succeed)
    assert steps.run_stage(root, "r1", "ingest").what == "10 images"
    assert (calls[0]["stage"], calls[0]["is_single"], calls[0]["is_forced"]) == ("ingest", True, False)
    assert json.loads((workspace / history.ROWS / "ingest.json").read_text())["state"] == "done"


def test_a_forced_run_forces_its_stages(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(root, is_forced=True)
    calls = dvc_that(monkeypatch, succeed)
    steps.run_stage(root, "r1", "ingest")
    assert calls[0]["is_forced"]


def test_stages_that_do_not_need_each_other_work_side_by_side(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(root)
    both = threading.Barrier(2)
    dvc_that(monkeypatch, lambda *_: both.wait(_WAIT_S) and None)  # neither goes on before the other has come
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda stage: steps.run_stage(root, "r1", stage), ("ingest", "label")))


def run_while_one_is_at_work(root: Path, stage: str, begun: threading.Event, may_end: threading.Event) -> None:
    """Run `ingest`, and a stage that has to wait until it has ended."""
    with ThreadPoolExecutor() as threads:
        first = threads.submit(steps.run_stage, root, "r1", "ingest")
        assert begun.wait(_WAIT_S)
        second = threads.submit(steps.run_stage, root, "r1", stage)
        with pytest.raises(TimeoutError):
            second.result(0.5)
        may_end.set()
        first.result(_WAIT_S)
        second.result(_WAIT_S)


def test_a_stage_waits_for_an_earlier_try_of_itself(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(root)
    begun, may_end = threading.Event(), threading.Event()
    order: list[str] = []

    def work(*_: Any) -> None:
        order.append("begin")
        begun.set()
        assert may_end.wait(_WAIT_S)
        order.append("end")

    dvc_that(monkeypatch, work)
    run_while_one_is_at_work(root, "ingest", begun, may_end)
    assert order == ["begin", "end"] * 2


def test_nobody_works_in_a_worktree_that_is_being_made_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspaces.remove(root, opened(root))
    begun, may_end = threading.Event(), threading.Event()
    told: list[str] = []

    def work(_: Path, rows: dict[str, StageRow]) -> None:
        told.append(" ".join(rows))
        begun.set()
        assert may_end.wait(_WAIT_S)

    dvc_that(monkeypatch, work)
    run_while_one_is_at_work(root, "label", begun, may_end)
    assert told == ["ingest label", "label"]


def test_an_unknown_stage_names_the_nearest(root: Path) -> None:
    opened(root)
    with pytest.raises(UsageError, match="no stage 'ingst' \\(did you mean 'ingest'"):
        steps.run_stage(root, "r1", "ingst")


def test_a_worktree_that_is_gone_is_made_again_with_what_stands_before(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = opened(root)
    (root / "runs" / "r1" / "params.yaml").write_text("name: asked\ndata: {path: source}\n")
    workspaces.remove(root, workspace)
    calls = dvc_that(monkeypatch, succeed)
    steps.run_stage(root, "r1", "ingest")
    assert yaml.safe_load((workspace / "params.yaml").read_text())["name"] == "asked"
    assert not calls[0]["is_single"]
    assert "made again" in capsys.readouterr().out


def test_a_worktree_that_is_gone_with_its_recipe_is_told_in_one_line(root: Path) -> None:
    workspaces.remove(root, opened(root))
    (root / "runs" / "r1" / "params.yaml").unlink()
    with pytest.raises(StorageError, match="start a new run"):
        steps.run_stage(root, "r1", "ingest")


def test_memory_that_ran_out_gets_one_lighter_try_and_no_third(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(root)

    def run_out(_: Path, rows: dict[str, StageRow]) -> None:
        rows["ingest"].state = "failed"
        raise StageFailed("ingest", "java.lang.OutOfMemoryError: Java heap space", 70)

    calls = dvc_that(monkeypatch, run_out)
    with pytest.raises(TryAgain, match="half the parallelism"):
        steps.run_stage(root, "r1", "ingest")
    with pytest.raises(UsageError, match="ran out of memory again"):
        steps.run_stage(root, "r1", "ingest")
    first, second = (call["environment"] for call in calls)
    assert "RATCHET_HOROVOD__WORKERS" not in first
    assert (second["RATCHET_HOROVOD__WORKERS"], second["RATCHET_SPARK__MASTER"]) == ("2", "local[1]")


def test_any_other_failure_is_passed_on_as_it_is(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(root)

    def fail(_: Path, rows: dict[str, StageRow]) -> None:
        raise StageFailed("ingest", "the contract does not hold", 65)

    dvc_that(monkeypatch, fail)
    with pytest.raises(StageFailed) as caught:
        steps.run_stage(root, "r1", "ingest")
    assert caught.value.exit_code == 65


def test_a_failed_run_is_kept_with_its_cause_and_its_worktree(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = opened(root)

    def fail(_: Path, rows: dict[str, StageRow]) -> None:
        rows["ingest"].state = "failed"
        raise StageFailed("ingest", "no such source", 74)

    dvc_that(monkeypatch, fail)
    with pytest.raises(StageFailed):
        steps.run_stage(root, "r1", "ingest")
    done = steps.close_run(root, "r1", "failed")
    assert (done.state, done.outcome) == ("failed", None)
    assert "no such source" in done.sentence
    assert workspace.is_dir()
    assert (root / "runs" / "r1" / "reports" / "run.json").is_file()


def test_a_failed_run_is_closed_though_nothing_can_be_reported_of_it(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = opened(root)
    (workspace / "dvc.yaml").write_text("stages: [")
    done = steps.close_run(root, "r1", "failed", "no such source")
    assert (done.state, done.sentence) == ("failed", "no such source")
    assert "warning: the report on r1 is not whole: " in capsys.readouterr().err


def test_what_happened_cannot_be_kept_and_the_stages_own_error_is_said_all_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened(root)

    def fail(*_: Any) -> None:
        raise StageFailed("ingest", "no such source", 74)

    def refuse(*_: Any) -> None:
        raise StorageError("a full disk")

    dvc_that(monkeypatch, fail)
    monkeypatch.setattr(steps, "write_json", refuse)
    with pytest.raises(StageFailed, match="no such source"):
        steps.run_stage(root, "r1", "ingest")
    assert "warning: what happened in stage ingest is not kept: a full disk" in capsys.readouterr().err


def test_a_run_of_a_graph_that_judges_nothing_ends_without_an_outcome(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(root)
    monkeypatch.setattr(steps, "remember", lambda *_: None)
    done = steps.close_run(root, "r1", "success")
    assert (done.outcome, done.sentence) == (None, "no stage of dvc.yaml makes a verdict, so nothing was judged")


def test_closing_a_run_whose_worktree_is_gone_says_so(root: Path) -> None:
    workspaces.remove(root, opened(root))
    done = steps.close_run(root, "r1", "success")
    assert done.state == "failed"
    assert "worktree was removed" in done.sentence
    assert steps.close_run(root, "r1", "success") == done  # once more changes nothing
