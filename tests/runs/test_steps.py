"""A run in steps: what is asked is checked, what is lost is made again, what ran out of memory gets one lighter try.

The stages themselves do not run here: tests/system/ runs the real ones. Memory that runs out cannot be had on purpose
without taking the machine's, so DVC's run is replaced where that is tested.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from pipeline.errors import StorageError, TryAgain, UsageError
from pipeline.records.run import RunReport
from pipeline.runs import freshness, history, locks, steps, workspaces
from pipeline.runs.dvc_repro import Order
from pipeline.runs.reproduction import StageFailed
from pipeline.runs.stage_rows import StageRow
from pipeline.storage.record_files import read_record
from tests.runs.given import contents, opened, write_files

_WAIT_S = 30.0


Reproduced = Callable[..., None]


def dvc_that(monkeypatch: pytest.MonkeyPatch, act: Reproduced) -> list[dict[str, Any]]:
    """Replace DVC's run; return what it was given each time."""
    calls: list[dict[str, Any]] = []

    def reproduce(
        workspace: Path,
        rows: dict[str, StageRow],
        _: Any,
        environment: dict[str, str],
        logs: Path,
        order: Order,
        **asked: Any,
    ) -> None:
        calls.append({"environment": environment, "logs": logs, "order": order, **asked})
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
    assert calls[0]["order"] == Order(stage="ingest", is_single=True)
    assert calls[0]["logs"] == root / "runs" / "r1" / "logs"
    assert json.loads((workspace / history.ROWS / "ingest.json").read_text())["state"] == "done"


def test_a_forced_run_forces_its_stages(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(root, is_forced=True)
    calls = dvc_that(monkeypatch, succeed)
    steps.run_stage(root, "r1", "ingest")
    assert calls[0]["order"].is_forced


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


def test_nobody_works_in_a_workspace_that_is_being_made_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(root)
    workspaces.remove(root, "r1")
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


def test_a_workspace_that_is_gone_is_made_again_with_what_stands_before(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = opened(root)
    workspaces.remove(root, "r1")
    (root / "params.yaml").write_text("name: another by now\n")
    calls = dvc_that(monkeypatch, succeed)
    steps.run_stage(root, "r1", "ingest")
    assert yaml.safe_load((workspace / "params.yaml").read_text())["name"] == "digits"
    assert not calls[0]["order"].is_single
    assert "made again" in capsys.readouterr().out


@pytest.mark.parametrize("photograph", [None, "0" * 32 + ".dir"])
def test_a_workspace_that_is_gone_with_its_photograph_is_told_in_one_line(root: Path, photograph: str | None) -> None:
    opened(root, photograph=photograph)
    workspaces.remove(root, "r1")
    with pytest.raises(StorageError, match=r"start a new run|ratchet runs pull"):
        steps.run_stage(root, "r1", "ingest")


INPUTS = "sha256:" + "ab" * 32


@pytest.mark.parametrize("stage", ["ingest", "label"])
def test_the_same_stage_of_the_same_work_is_done_once_at_a_time(
    root: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    for run_id in ("r1", "r2"):
        opened(root, run_id, inputs=INPUTS)
    begun, may_end, second_done = threading.Event(), threading.Event(), threading.Event()

    def work(workspace: Path, _: dict[str, StageRow]) -> None:
        if workspace.name == "r1":
            begun.set()
            assert may_end.wait(_WAIT_S)
            assert second_done.is_set() == (stage == "label")  # another stage does not wait
        else:
            second_done.set()

    dvc_that(monkeypatch, work)
    asked = waiting_for(monkeypatch, may_end) if stage == "ingest" else threading.Event()
    with ThreadPoolExecutor() as threads:
        first = threads.submit(steps.run_stage, root, "r1", "ingest")
        assert begun.wait(_WAIT_S)
        second = threads.submit(steps.run_stage, root, "r2", stage)
        if stage == "label":
            second.result(_WAIT_S)
            may_end.set()
        else:
            assert asked.wait(_WAIT_S)
        first.result(_WAIT_S)
        second.result(_WAIT_S)
    assert second_done.is_set()


def waiting_for(monkeypatch: pytest.MonkeyPatch, may_end: threading.Event) -> threading.Event:
    """Let the first end once the second has found the lock held."""
    asked = threading.Event()

    def sleep(_: float) -> None:
        asked.set()
        may_end.set()
        threading.Event().wait(0.01)

    monkeypatch.setattr(locks, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    return asked


def test_a_forced_run_waits_for_nobody_who_does_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(root, is_forced=True, inputs=INPUTS)
    dvc_that(monkeypatch, succeed)
    with locks.same_work_lock(root, INPUTS):
        assert steps.run_stage(root, "r1", "ingest").state == "done"


def test_memory_that_ran_out_gets_one_lighter_try_and_no_third(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = opened(root)
    shutil.copy(Path(__file__).parents[2] / "params.yaml", workspace)

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


def test_a_try_that_failed_is_kept_beside_the_next_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(root)
    began_s = time.time()

    def fail(_: Path, rows: dict[str, StageRow]) -> None:
        rows["ingest"].begin(began_s)
        rows["ingest"].end("failed", "a lock", began_s + 5.0)
        raise StageFailed("ingest", "a lock", 75)

    def go_on(_: Path, rows: dict[str, StageRow]) -> None:
        rows["ingest"].begin(began_s + 20.0)
        rows["ingest"].end("done", "10 images", began_s + 21.0)

    dvc_that(monkeypatch, fail)
    with pytest.raises(StageFailed):
        steps.run_stage(root, "r1", "ingest")
    dvc_that(monkeypatch, go_on)
    steps.run_stage(root, "r1", "ingest")
    steps.close_run(root, "r1", "failed")
    ingest = read_record(root / "runs/r1/reports/run.json", RunReport).stages[0]
    assert (ingest.outcome, ingest.seconds) == ("done", 1.0)
    assert ingest.earlier is not None
    assert [(tried.what, tried.seconds) for tried in ingest.earlier] == [("failed", 5.0)]


def test_any_other_failure_is_passed_on_as_it_is(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(root)

    def fail(_: Path, rows: dict[str, StageRow]) -> None:
        raise StageFailed("ingest", "the contract does not hold", 65)

    dvc_that(monkeypatch, fail)
    with pytest.raises(StageFailed) as caught:
        steps.run_stage(root, "r1", "ingest")
    assert caught.value.exit_code == 65


def test_a_failed_run_is_kept_with_its_cause_and_its_workspace(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_failed_run_of_which_no_stage_has_said_why_names_the_stage_it_came_to(root: Path) -> None:
    opened(root)
    assert steps.close_run(root, "r1", "failed").sentence == "ended from outside before stage ingest was done"


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


def test_a_run_of_a_graph_that_judges_nothing_ends_without_an_outcome(root: Path) -> None:
    workspace = opened(root, inputs=INPUTS)
    done = steps.close_run(root, "r1", "success")
    assert (done.outcome, done.sentence) == (None, "no stage of dvc.yaml makes a verdict, so nothing was judged")
    assert not workspace.exists()
    assert freshness.run_with_same_inputs(root, INPUTS) == done


def test_a_run_that_stopped_early_is_no_answer(root: Path) -> None:
    opened(root, inputs=INPUTS, until="ingest")
    steps.close_run(root, "r1", "success")
    assert freshness.run_with_same_inputs(root, INPUTS) is None


def test_closing_a_run_whose_workspace_is_gone_says_so(root: Path) -> None:
    opened(root)
    workspaces.remove(root, "r1")
    done = steps.close_run(root, "r1", "success")
    assert done.state == "failed"
    assert "workspace was removed" in done.sentence
    assert steps.close_run(root, "r1", "success") == done  # once more changes nothing


@pytest.mark.parametrize("state", ["success", "failed"])
def test_closing_twice_changes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch, state: Any) -> None:
    opened(root)
    done = steps.close_run(root, "r1", state, "why")
    before = contents(root / "runs")
    monkeypatch.setattr(history, "now", lambda: "2036-11-22T10:00:00+00:00")
    assert steps.close_run(root, "r1", state, "why") == done
    assert contents(root / "runs") == before


def test_a_close_that_was_killed_before_the_workspace_went_is_ended_by_the_next(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(root, inputs=INPUTS)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(freshness, "remember_run", killed)
        with pytest.raises(KeyboardInterrupt):
            steps.close_run(root, "r1", "success")
    before = contents(root / "runs")
    done = steps.close_run(root, "r1", "success")
    assert contents(root / "runs") == before
    assert workspaces.names(root) == []
    assert freshness.run_with_same_inputs(root, INPUTS) == done


@pytest.mark.parametrize("state", ["success", "failed"])
def test_a_stage_of_a_run_that_is_over_is_another_attempt_and_the_evidence_stays(
    root: Path, monkeypatch: pytest.MonkeyPatch, state: Any
) -> None:
    # As Airflow repeats a task that a person has cleared in a finished run: nobody opens the run again before.
    workspace = opened(root)
    dvc_that(monkeypatch, succeed)
    write_files(workspace, {"reports/verdict.json": "the first verdict"})
    steps.run_stage(root, "r1", "ingest")
    steps.close_run(root, "r1", state)
    before = contents(root / "runs" / "r1")

    def judge(workspace: Path, rows: dict[str, StageRow]) -> None:
        write_files(workspace, {"reports/verdict.json": "the second verdict"})

    calls = dvc_that(monkeypatch, judge)
    steps.run_stage(root, "r1", "ingest")
    assert history.read(root, "r1").attempt == 2
    assert calls[0]["logs"] == root / "runs" / "r1" / "attempts" / "2" / "logs"
    steps.run_stage(root, "r1", "label")
    done = steps.close_run(root, "r1", "success")
    assert (done.attempt, done.state) == (2, "success")
    after = contents(root / "runs" / "r1")
    assert {name: after[name] for name in before} == before
    assert after["attempts/2/reports/verdict.json"] == b"the second verdict"
