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
from tests.runs.given import record


def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    (folder / "reports").mkdir(parents=True)
    (folder / "reports" / "verdict.json").write_text("{}")
    (folder / "params.yaml").write_text("seed: 1\n")
    (folder / "dvc.lock").write_text("lock")
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


def test_a_second_try_replaces_what_the_first_has_kept(tmp_path: Path) -> None:
    folder = workspace(tmp_path)
    history.finish(tmp_path, folder, record(), "failed")
    (folder / "reports" / "verdict.json").unlink()
    (folder / "reports" / "other.json").write_text("{}")
    history.finish(tmp_path, folder, record(), "success")
    assert [path.name for path in (tmp_path / "runs" / "r1" / "reports").iterdir()] == ["other.json"]


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
