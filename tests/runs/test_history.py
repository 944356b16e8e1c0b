"""The runs so far: kept whole, told apart, listed newest first."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import StorageError, UsageError
from pipeline.runs import history
from pipeline.storage.artifacts import write_json
from tests.runs.given import contents, record


def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    (folder / "reports").mkdir(parents=True)
    (folder / "reports" / "verdict.json").write_text("{}")
    (folder / "params.yaml").write_text("seed: 1\n")
    (folder / "dvc.lock").write_text("stages: {}")
    (folder / "dvc.yaml").write_text("graph")
    return folder


def test_a_finished_run_is_kept_with_its_graph_recipe_lock_and_reports(tmp_path: Path) -> None:
    history.write(tmp_path, record())
    done = history.finish(tmp_path, workspace(tmp_path), record(), "success", "promote", "good enough")
    kept = tmp_path / "runs" / "r1"
    names = ["dvc.lock", "dvc.yaml", "params.yaml", "record.json", "reports"]
    assert sorted(path.name for path in kept.iterdir()) == names
    assert history.read(tmp_path, "r1") == done
    assert (done.state, done.outcome, done.sentence) == ("success", "promote", "good enough")
    assert done.end is not None


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_kept_page_leads_to_the_projects_page_of_the_champions(tmp_path: Path, attempt: int) -> None:
    folder = workspace(tmp_path)
    (folder / "reports" / "champions.html").write_text("as it was then")
    kept = history.keep(tmp_path, folder, record().changed(attempt=attempt)) / "reports" / "champions.html"
    address = kept.read_text().partition("url=")[2].partition('"')[0]
    assert (kept.parent / address).resolve() == tmp_path / "reports" / "champions.html"


def test_a_second_try_replaces_what_the_first_has_kept(tmp_path: Path) -> None:
    folder = workspace(tmp_path)
    history.finish(tmp_path, folder, record(), "failed")
    (folder / "reports" / "verdict.json").unlink()
    (folder / "reports" / "other.json").write_text("{}")
    (folder / "dvc.lock").write_text("stages: {another: {}}")
    history.finish(tmp_path, folder, record(), "success")
    assert (tmp_path / "runs" / "r1" / "dvc.lock").read_text() == "stages: {another: {}}"
    kept = tmp_path / "runs" / "r1" / "reports"
    assert {path.name for path in kept.iterdir()} == {"other.json", "champions.html"}


def test_the_list_is_newest_first(tmp_path: Path) -> None:
    history.write(tmp_path, record("old"))
    history.write(tmp_path, record("new", start="2026-11-22T11:00:00+00:00"))
    assert [run.id for run in history.list_runs(tmp_path)] == ["new", "old"]


def test_a_listed_run_is_the_record_that_was_written(tmp_path: Path) -> None:
    written = record(driver="ratchet", outcome="refuse", overrides={"train.epochs": 3})
    history.write(tmp_path, written)
    assert history.list_runs(tmp_path) == [written]


def test_a_run_whose_process_was_killed_has_failed(tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "60"])
    process.kill()
    process.wait()
    history.write(tmp_path, record("killed", driver="ratchet", pid=process.pid))
    history.write(tmp_path, record("steps"))
    states = {run.id: run.state for run in history.list_runs(tmp_path)}
    assert states == {"killed": "failed", "steps": "running"}


def test_an_unknown_run_names_the_nearest(tmp_path: Path) -> None:
    history.write(tmp_path, record("retrain-1"))
    with pytest.raises(UsageError, match="did you mean 'retrain-1'"):
        history.read(tmp_path, "retrain-2")


@pytest.mark.parametrize("run_id", ["", "..", "../x", "a/b", "a b", "-x", "x" * 152, "x\n"])
def test_an_id_that_is_no_folder_of_ours_is_refused(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(UsageError, match="run id"):
        history.read(tmp_path, run_id)


@given(st.lists(st.text(max_size=300), min_size=1, max_size=3))
def test_any_foreign_name_gives_an_id_that_can_name_a_folder(names: list[str]) -> None:
    run_id = history.id_for(*names)
    assert history.check_id(run_id) == run_id
    assert history.id_for(*names) == run_id


@given(st.text(max_size=40), st.text(max_size=40))
def test_different_foreign_names_give_different_ids(one: str, other: str) -> None:
    if one != other:
        assert history.id_for("dag", one) != history.id_for("dag", other)


def test_ids_of_new_runs_do_not_meet(tmp_path: Path) -> None:
    first = history.new_id(tmp_path)
    (tmp_path / "runs" / first).mkdir(parents=True)
    assert history.new_id(tmp_path) != first
    assert str(os.getpid()) in first


def test_a_record_that_is_none_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "runs" / "r1").mkdir(parents=True)
    (tmp_path / "runs" / "r1" / "record.json").write_text('{"what": 1}')
    with pytest.raises(StorageError, match=r"record\.json: not a run's record; remove .*r1"):
        history.read(tmp_path, "r1")


def test_what_an_attempt_began_with_is_kept_once(tmp_path: Path) -> None:
    folder = workspace(tmp_path)
    history.keep(tmp_path, folder, record())
    for name in ("params.yaml", "dvc.yaml"):
        (folder / name).write_text("edited meanwhile")
    history.finish(tmp_path, folder, record(), "success")
    kept = tmp_path / "runs" / "r1"
    assert ((kept / "params.yaml").read_text(), (kept / "dvc.yaml").read_text()) == ("seed: 1\n", "graph")


def test_each_attempt_has_a_folder_of_its_own_and_the_latest_is_the_runs_record(tmp_path: Path) -> None:
    folder = workspace(tmp_path)
    first = history.finish(tmp_path, folder, record(), "success", "promote")
    before = contents(tmp_path / "runs" / "r1")
    (folder / "reports" / "verdict.json").write_text("another")
    tenth = history.finish(tmp_path, folder, record(attempt=10), "failed")
    second = history.finish(tmp_path, folder, record(attempt=2), "success")
    assert history.attempts_of(tmp_path, "r1") == [first, second, tenth]
    assert history.read(tmp_path, "r1") == tenth
    assert history.list_runs(tmp_path) == [tenth]
    assert (second.folder, tenth.folder) == ("runs/r1/attempts/2", "runs/r1/attempts/10")
    after = contents(tmp_path / "runs" / "r1")
    assert {name: after[name] for name in before} == before
    assert after["attempts/2/reports/verdict.json"] == b"another"


def test_an_attempt_without_a_record_is_none(tmp_path: Path) -> None:
    history.write(tmp_path, record())
    for name in ("2", "x", ".3"):
        (tmp_path / "runs" / "r1" / "attempts" / name).mkdir(parents=True)
    assert history.attempts_of(tmp_path, "r1") == [record()]


def test_of_an_unknown_run_there_is_no_attempt(tmp_path: Path) -> None:
    assert (history.find(tmp_path, "r1"), history.attempts_of(tmp_path, "r1")) == (None, [])


def test_a_record_of_before_there_were_photographs_is_still_read(tmp_path: Path) -> None:
    names = (
        "id",
        "driver",
        "state",
        "start",
        "outcome",
        "end",
        "sentence",
        "config",
        "overrides",
        "reason",
        "asked_by",
    )
    old = {name: value for name, value in record().to_json().items() if name in names}
    write_json(tmp_path / "runs" / "r1" / "record.json", old)
    found = history.read(tmp_path, "r1")
    assert (found, found.attempt, found.photograph, found.folder) == (record(), 1, None, "runs/r1")
