"""One process drives a whole run, with DVC's part replaced. Real runs: tests/system."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from pipeline.errors import RatchetError, StorageError, TryAgain, UsageError
from pipeline.graph import load_graph
from pipeline.records.run import RUN_REPORT_FILE, RunRecord
from pipeline.records.verdict import Verdict
from pipeline.runs import freshness, history, in_one_process, locks, opening, run_report, workspaces
from pipeline.runs.dvc_cache import cache_of
from pipeline.runs.dvc_repro import Order
from pipeline.runs.in_one_process import RunOptions, RunResult, run
from pipeline.runs.locks import run_lock
from pipeline.runs.outcome import NO_VERDICT
from pipeline.runs.photograph_store import PhotographStore
from pipeline.runs.reproduction import StageFailed
from pipeline.runs.stage_rows import StageRow
from pipeline.storage.artifacts import write_json
from pipeline.storage.record_files import write_record
from tests.runs.given import write_files

REFUSED = Verdict.of([], "worse than v1", "sha256:new", None)
WAIT_S = 60.0
OTHER = RunOptions(overrides={"train.epochs": 3})

Act = Callable[[Path, dict[str, StageRow]], None]


class Dvc:
    """Stands in for `dvc repro`: does what the test says, and keeps where it was called and how."""

    def __init__(self) -> None:
        self.act: Act = judge
        self.publisher: str | None = "register"
        self.says_clean = True
        self.calls: list[tuple[Path, Order]] = []
        self.logs: list[Path] = []

    def reproduce(
        self,
        workspace: Path,
        rows: dict[str, StageRow],
        _: Any,
        environment: Any,
        logs: Path,
        order: Order,
        *,
        publisher: str | None,
    ) -> None:
        assert publisher == self.publisher
        self.calls.append((workspace, order))
        self.logs.append(logs)
        self.act(workspace, rows)
        if order.picture is not None and self.says_clean:  # as DVC's process does if it finds all clean
            write_json(workspace / order.picture, freshness.picture_of(workspace, load_graph(workspace)))


def judge(workspace: Path, rows: dict[str, StageRow]) -> None:
    write_record(workspace / "reports" / "verdict.json", REFUSED)


def fail(workspace: Path, rows: dict[str, StageRow]) -> None:
    rows["ingest"].state, rows["ingest"].what = "failed", "no such source"
    raise StageFailed("ingest", "no such source", 74)


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def dvc(monkeypatch: pytest.MonkeyPatch) -> Dvc:
    """DVC's stand-in, on a machine that has all that a run needs, with a registry in which nothing is to be done."""
    dvc = Dvc()
    monkeypatch.setattr(in_one_process, "reproduce", dvc.reproduce)
    monkeypatch.setattr(opening, "check_before", lambda *_: None)
    monkeypatch.setattr(freshness, "is_still", lambda *_: True)
    return dvc


def the_run(root: Path) -> RunRecord:
    [record] = history.list_runs(root)
    return record


def test_a_run_in_place_is_kept_with_its_verdict(recipe_root: Path, dvc: Dvc) -> None:
    result = run(recipe_root, RunOptions())
    assert (result.is_unchanged, result.verdict) == (False, REFUSED)
    assert dvc.calls == [(recipe_root, Order(picture=str(freshness.CLEAN)))]
    record = the_run(recipe_root)
    assert (record.state, record.outcome, record.sentence) == ("success", "refuse", "worse than v1")
    assert (recipe_root / record.folder / RUN_REPORT_FILE).is_file()


def test_a_run_after_which_nothing_has_changed_does_nothing(recipe_root: Path, dvc: Dvc) -> None:
    run(recipe_root, RunOptions())
    assert run(recipe_root, RunOptions()).is_unchanged
    assert len(dvc.calls) == 1


@pytest.mark.long
def test_a_forced_run_runs_though_nothing_has_changed(recipe_root: Path, dvc: Dvc) -> None:
    run(recipe_root, RunOptions())
    assert not run(recipe_root, RunOptions(is_forced=True)).is_unchanged
    assert dvc.calls[1] == (recipe_root, Order(is_forced=True, picture=str(freshness.CLEAN)))


@pytest.mark.long
def test_a_run_that_does_not_stand_any_more_runs_again(
    recipe_root: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(recipe_root, RunOptions())
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(freshness, "is_still", lambda *given: asked.append(given))
    assert not run(recipe_root, RunOptions(execution={"mlflow.uri": "sqlite:///other.db"})).is_unchanged
    [(root, folder, graph, name, environment)] = asked
    assert (root, folder, name) == (recipe_root, recipe_root, "fashion_mnist")
    assert graph == load_graph(recipe_root)
    assert environment["RATCHET_MLFLOW__URI"] == "sqlite:///other.db"


@pytest.mark.long
@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml", "samples/fashion_mnist/rows", "pipeline/data/new.py"])
def test_a_file_that_changes_while_the_run_goes_on_is_no_part_of_it(recipe_root: Path, dvc: Dvc, name: str) -> None:
    write_files(recipe_root, {"pipeline/data/old.py": "old"})

    def edit(workspace: Path, rows: dict[str, StageRow]) -> None:
        judge(workspace, rows)
        write_json(workspace / freshness.CLEAN, freshness.picture_of(workspace, load_graph(workspace)))
        path = workspace / name
        write_files(workspace, {name: (path.read_text() if path.exists() else "") + "\n"})

    dvc.act, dvc.says_clean = edit, False
    run(recipe_root, RunOptions())
    assert not run(recipe_root, RunOptions()).is_unchanged


@pytest.mark.long
def test_what_dvc_did_not_find_clean_afterwards_is_looked_at_again(recipe_root: Path, dvc: Dvc) -> None:
    dvc.says_clean = False
    run(recipe_root, RunOptions())
    assert not run(recipe_root, RunOptions()).is_unchanged


@pytest.mark.long
def test_without_its_page_a_run_is_not_complete(recipe_root: Path, dvc: Dvc) -> None:
    result = run(recipe_root, RunOptions())
    result.page.unlink()
    assert not run(recipe_root, RunOptions()).is_unchanged


@pytest.mark.long
def test_a_run_that_is_to_stop_early_is_not_the_complete_one(
    recipe_root: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_one_process, "stopped_after", lambda *_: "stopped after split, as asked")
    for options in (RunOptions(until="split"), replace(OTHER, until="split")):
        result = run(recipe_root, options)
        assert (result.sentence, result.verdict, result.is_unchanged) == ("stopped after split, as asked", None, False)
        assert dvc.calls[-1][1] == Order(stage="split")
        newest = history.list_runs(recipe_root)[0]
        assert (newest.state, newest.outcome, newest.until) == ("success", None, "split")
    assert not run(recipe_root, RunOptions()).is_unchanged
    assert not run(recipe_root, OTHER).is_unchanged
    assert run(recipe_root, RunOptions(until="split")).sentence  # what is complete is no reason not to look
    assert len(dvc.calls) == 5


@pytest.mark.parametrize("options", [RunOptions(until="trian"), replace(OTHER, until="trian")])
def test_a_stage_to_stop_at_that_there_is_not_is_refused_with_the_nearest(
    recipe_root: Path, dvc: Dvc, options: RunOptions
) -> None:
    with pytest.raises(UsageError, match=r"no stage 'trian' \(did you mean 'train'"):
        run(recipe_root, options)
    assert (dvc.calls, history.list_runs(recipe_root)) == ([], [])


@pytest.mark.long
@pytest.mark.parametrize("asked", [RunOptions(), OTHER])
def test_a_run_begins_with_a_photograph_and_its_logs_are_evidence(
    recipe_root: Path, dvc: Dvc, asked: RunOptions
) -> None:
    run(recipe_root, asked)
    record = the_run(recipe_root)
    assert record.photograph is not None
    assert PhotographStore(cache_of(recipe_root)).has(record.photograph)
    assert dvc.logs == [recipe_root / record.folder / "logs"]


def test_the_kept_recipe_is_the_one_that_the_run_began_with(recipe_root: Path, dvc: Dvc) -> None:
    before = (recipe_root / "params.yaml").read_bytes()

    def edit(workspace: Path, rows: dict[str, StageRow]) -> None:
        judge(workspace, rows)
        (workspace / "params.yaml").write_bytes(before + b"\n# edited meanwhile\n")

    dvc.act = edit
    run(recipe_root, RunOptions())
    assert (recipe_root / the_run(recipe_root).folder / "params.yaml").read_bytes() == before


def test_a_run_with_a_recipe_of_its_own_leaves_the_projects_files_and_no_workspace(recipe_root: Path, dvc: Dvc) -> None:
    before = (recipe_root / "params.yaml").read_bytes()
    result = run(recipe_root, OTHER)
    record = the_run(recipe_root)
    assert dvc.calls == [(workspaces.workspace_of(recipe_root, record.id), Order())]
    assert (recipe_root / "params.yaml").read_bytes() == before
    assert yaml.safe_load((recipe_root / record.folder / "params.yaml").read_text())["train"]["epochs"] == 3
    assert result.page == recipe_root / record.folder / "reports" / "index.html"
    assert workspaces.names(recipe_root) == list(workspaces.half_made(recipe_root)) == []


def test_a_recipe_that_leaves_the_device_open_is_run_with_one_of_its_own(recipe_root: Path, dvc: Dvc) -> None:
    text = (recipe_root / "params.yaml").read_text()
    text = text.replace("loss: cross_entropy", "loss: cross_entropy\n  device: auto")
    (recipe_root / "params.yaml").write_text(text)
    assert not run(recipe_root, RunOptions()).is_unchanged
    record = the_run(recipe_root)
    assert record.device == "cpu"
    assert dvc.calls == [(workspaces.workspace_of(recipe_root, record.id), Order())]
    assert yaml.safe_load((recipe_root / record.folder / "params.yaml").read_text())["train"]["device"] == "cpu"
    assert (recipe_root / "params.yaml").read_text() == text
    assert run(recipe_root, RunOptions()).is_unchanged


@pytest.mark.parametrize("text", ["train: auto\n", "train: [device]\n", "train: {device: auto\n"])
def test_a_recipe_that_is_none_is_refused_where_it_is_checked(recipe_root: Path, dvc: Dvc, text: str) -> None:
    (recipe_root / "params.yaml").write_text(text)
    with pytest.raises(RatchetError, match=r"params\.yaml"):
        run(recipe_root, RunOptions())
    assert dvc.calls == []


def test_a_recipe_that_was_run_already_is_answered_by_that_run(recipe_root: Path, dvc: Dvc) -> None:
    run(recipe_root, OTHER)
    result = run(recipe_root, OTHER)
    assert (result.is_unchanged, result.verdict) == (True, REFUSED)
    assert len(dvc.calls) == 1


def test_a_recipe_that_was_run_already_runs_again_by_force(recipe_root: Path, dvc: Dvc) -> None:
    run(recipe_root, OTHER)
    assert not run(recipe_root, replace(OTHER, is_forced=True)).is_unchanged
    assert dvc.calls[1][1].is_forced


@pytest.mark.parametrize("asked", [RunOptions(), OTHER])
def test_a_run_that_failed_is_kept_with_its_cause(recipe_root: Path, dvc: Dvc, asked: RunOptions) -> None:
    dvc.act = fail
    with pytest.raises(StageFailed, match="no such source"):
        run(recipe_root, asked)
    record = the_run(recipe_root)
    assert (record.state, record.sentence) == ("failed", "stage ingest: no such source")
    assert (recipe_root / record.folder / RUN_REPORT_FILE).is_file()
    assert workspaces.names(recipe_root) == ([record.id] if asked == OTHER else [])  # for as long as is set


@pytest.mark.parametrize("asked", [RunOptions(), OTHER])
def test_an_interrupted_run_has_failed(recipe_root: Path, dvc: Dvc, asked: RunOptions) -> None:
    dvc.act = interrupt
    with pytest.raises(KeyboardInterrupt):
        run(recipe_root, asked)
    assert (the_run(recipe_root).state, the_run(recipe_root).sentence) == ("failed", "interrupted")


@pytest.mark.long
def test_after_a_failure_the_next_run_looks_for_itself(recipe_root: Path, dvc: Dvc) -> None:
    run(recipe_root, RunOptions())
    dvc.act = fail
    with pytest.raises(StageFailed):
        run(recipe_root, RunOptions(is_forced=True))
    dvc.act = judge
    assert not run(recipe_root, RunOptions()).is_unchanged


def break_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_report, "render_page", refuse)


@pytest.mark.parametrize("asked", [RunOptions(), OTHER])
def test_a_page_that_cannot_be_written_never_takes_the_place_of_the_stages_own_error(
    recipe_root: Path,
    dvc: Dvc,
    asked: RunOptions,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dvc.act = fail
    break_the_page(monkeypatch)
    with pytest.raises(StageFailed, match="no such source") as caught:
        run(recipe_root, asked)
    assert caught.value.exit_code == 74
    assert "warning: reports/index.html is not written: [Errno 28] No space left" in capsys.readouterr().err
    assert the_run(recipe_root).sentence == "stage ingest: no such source"


def test_a_page_that_cannot_be_written_after_a_run_that_ended_well_is_an_error(
    recipe_root: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_the_page(monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        run(recipe_root, RunOptions())
    assert the_run(recipe_root).state == "failed"


def test_a_run_that_cannot_be_kept_never_takes_the_place_of_the_stages_own_error(
    recipe_root: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any) -> None:
        raise StorageError("runs: cannot be written")

    dvc.act = fail
    monkeypatch.setattr(history, "keep", refuse)
    with pytest.raises(StageFailed, match="no such source"):
        run(recipe_root, RunOptions())
    assert "does not say that the run failed: runs: cannot be written" in capsys.readouterr().err


def test_an_error_that_nobody_expects_is_recorded_in_one_line(recipe_root: Path, dvc: Dvc) -> None:
    def surprise(*_: Any) -> None:
        raise ValueError("not\nso")

    dvc.act = surprise
    with pytest.raises(ValueError, match="not"):
        run(recipe_root, RunOptions())
    assert (the_run(recipe_root).state, the_run(recipe_root).sentence) == ("failed", "not so")


def test_where_no_stage_judges_there_is_no_verdict(recipe_root: Path, dvc: Dvc) -> None:
    (recipe_root / "dvc.yaml").write_text("stages: {ingest: {cmd: x}}\n")
    dvc.publisher, dvc.act = None, lambda *_: None
    result = run(recipe_root, RunOptions())
    assert (result.verdict, result.registration) == (None, None)
    assert (the_run(recipe_root).state, the_run(recipe_root).outcome) == ("success", None)
    assert the_run(recipe_root).sentence == NO_VERDICT


def test_where_another_run_works_none_begins(recipe_root: Path, dvc: Dvc) -> None:
    with run_lock(recipe_root), pytest.raises(TryAgain, match="another run"):
        run(recipe_root, RunOptions())
    assert (dvc.calls, history.list_runs(recipe_root)) == ([], [])


@dataclass
class Beside:
    """What came of a run, of a second one that was begun while the first worked, and whether the second waited."""

    first: RunResult
    second: RunResult
    has_waited: bool


def side_by_side(root: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch, second: RunOptions) -> Beside:
    """Begin a second run while the first one's work goes on, until the second waits for it or has ended."""
    begun, may_end, looked = threading.Event(), threading.Event(), threading.Event()

    def work(workspace: Path, rows: dict[str, StageRow]) -> None:
        if not begun.is_set():
            begun.set()
            assert may_end.wait(WAIT_S)
        judge(workspace, rows)

    def look(_: float) -> None:
        looked.set()
        may_end.set()
        threading.Event().wait(0.01)

    dvc.act = work
    monkeypatch.setattr(locks, "time", SimpleNamespace(monotonic=time.monotonic, sleep=look))
    with ThreadPoolExecutor() as threads:
        one = threads.submit(run, root, OTHER)
        assert begun.wait(WAIT_S)
        other = threads.submit(run, root, second).result(WAIT_S)
        may_end.set()
        return Beside(one.result(WAIT_S), other, looked.is_set())


def test_two_runs_of_the_same_recipe_do_the_work_once(
    recipe_root: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = side_by_side(recipe_root, dvc, monkeypatch, OTHER)
    assert done.has_waited
    assert len(dvc.calls) == 1
    assert (done.first.is_unchanged, done.second.is_unchanged) == (False, True)
    assert done.first.verdict == done.second.verdict == REFUSED
    worked, adopted = sorted(history.list_runs(recipe_root), key=lambda record: record.same_as is not None)
    assert (worked.same_as, adopted.same_as, adopted.outcome) == (None, worked.id, "unchanged")


@pytest.mark.parametrize("second", [replace(OTHER, is_forced=True), RunOptions(overrides={"train.epochs": 4})])
def test_a_forced_run_and_one_of_another_recipe_wait_for_nobody(
    recipe_root: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch, second: RunOptions
) -> None:
    done = side_by_side(recipe_root, dvc, monkeypatch, second)
    assert not done.has_waited
    assert len(dvc.calls) == 2
    assert not done.first.is_unchanged
    assert not done.second.is_unchanged


def test_after_a_first_run_that_failed_the_second_does_the_work(
    recipe_root: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    dvc.act = fail
    with pytest.raises(StageFailed):
        run(recipe_root, OTHER)
    dvc.act = judge
    assert not run(recipe_root, OTHER).is_unchanged
