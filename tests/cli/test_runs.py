"""`ratchet runs`: the list of runs, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.records.run import RunRecord
from pipeline.runs import history, workspaces
from tests.cli.given import answer, complaint
from tests.runs.kept import RECIPE, finished, make_project, photographed

RECORD = RunRecord(
    id="r1", driver="airflow", state="success", start="2026-11-22T10:00:00+00:00", outcome="refuse", sentence="worse"
)


def test_before_the_first_run_the_list_says_what_makes_one(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "runs", "list") == "no runs yet; `ratchet run` makes the first\n"


def test_a_run_is_a_line_for_people(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history.write(project, RECORD)
    words = answer(capsys, "runs", "list").split()
    assert words == ["2026-11-22T10:00:00+00:00", "airflow", "success", "refuse", "runs/r1"]


def test_a_run_is_its_record_for_programs_and_where_it_is_kept(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history.write(project, RECORD)
    [listed] = json.loads(answer(capsys, "runs", "list", "--json"))
    assert listed == {**RECORD.to_json(), "folder": "runs/r1"}
    assert list(listed)[:6] == ["id", "driver", "state", "outcome", "start", "folder"]


@pytest.fixture
def kept(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project with two runs: `a`, and `b` of another recipe, other files and worse figures."""
    monkeypatch.setenv("COLUMNS", "100")
    make_project(project)
    given = {"reason": "a long reason " * 12, "asked_by": "anna", "commit": "1a2b3c4d5e6f7a8b9c", "is_dirty": True}
    finished(project, "a", photograph=photographed(project, {"notes/a.txt": b"1"}), **given)
    recipe = {**RECIPE, "train": {"epochs": 9}}
    other = photographed(project, {"notes/a.txt": b"2"})
    finished(project, "b", photograph=other, recipe=recipe, accuracy=0.8)
    return project


def test_a_run_is_shown_in_a_screen(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = answer(capsys, "runs", "show", "a")
    assert max(map(len, said.splitlines())) <= 100
    assert len(said.splitlines()) <= 40
    assert said.startswith("run a: success, refuse\n  it lost 0.1\n")
    for words in (
        "anna through ratchet: a long reason",
        "2026-11-22 10:00:00 UTC, took 5 min 34 s",
        "1 file, 1 byte",
        "1a2b3c4d5e6f, from which files differed",
        "train     train it",
        "test part: accuracy 0.9000 · cross-entropy 0.2500 nats a row",
        "verdict: refuse, 1 of 2 checks passed, against no champion",
        "failed: it lost 0.1 against the champion",
        "runs/a/reports/index.html",
    ):
        assert words in said


def test_a_run_is_shown_to_programs(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(answer(capsys, "runs", "show", "a", "--json"))
    assert (shown["id"], shown["figures"]["part"], shown["page"]) == ("a", "test", "runs/a/reports/index.html")


def test_what_the_time_went_into_is_said(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = kept / "runs/a/reports/run.json"
    told = json.loads(path.read_text())
    told |= {"seconds": 75.0, "startup_seconds": 12.0, "work_seconds": 60.5, "waiting_seconds": 2.5}
    told["stages"][0]["startup_seconds"] = 1.25
    path.write_text(json.dumps(told))
    said = answer(capsys, "runs", "show", "a").splitlines()
    assert [line.split()[-4:] for line in said if line.startswith("train")] == [["2.0", "s", "1.2", "s"]]
    assert "1 min 15 s in all: 12.0 s start-up, 1 min 00 s work, 2.5 s waiting, when no stage runs" in said
    assert max(map(len, said)) <= 100


def test_an_attempt_is_shown(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished(kept, "a", attempt=2, sentence="again")
    assert "again" in answer(capsys, "runs", "show", "a")
    said = answer(capsys, "runs", "show", "a", "--attempt", "1")
    assert "attempts   1  success  runs/a  (this one)\n           2  success  runs/a/attempts/2\n" in said


@pytest.mark.parametrize("words", [["show", "aa"], ["compare", "a", "bb"], ["delete", "a", "c"]])
def test_an_unknown_run_is_one_line(kept: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    code, said = complaint(capsys, "runs", *words)
    assert (code, "no run" in said) == (2, True)


def test_what_differs_between_two_runs_is_said(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = answer(capsys, "runs", "compare", "a", "b")
    assert max(map(len, said.splitlines())) <= 100
    for words in ("train.epochs  8  9", "changed    notes/: a.txt", "accuracy       0.9000  0.8000  -0.1000  worse"):
        assert words in said
    assert json.loads(answer(capsys, "runs", "compare", "a", "b", "--json"))["recipe"]["train.epochs"]["b"] == 9


def test_that_nothing_differs_is_said_plainly(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = answer(capsys, "runs", "compare", "a", "a")
    assert "\nnothing differs: same recipe, files, data, figures and verdict\n" in said


def test_deleting_says_what_would_go_and_waits_for_yes(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished(kept, "c", same_as="a", outcome="unchanged")
    said = answer(capsys, "runs", "delete", "a")
    assert said.startswith("a: runs/a, ")
    assert "; named by c, which stay\n" in said
    assert (kept / "runs/a/record.json").is_file()
    assert "deleted 1 run; " in answer(capsys, "runs", "delete", "a", "--yes")
    assert not (kept / "runs/a").exists()


def test_a_run_that_goes_on_is_not_deleted(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history.write(kept, RECORD.changed(state="running"))
    code, said = complaint(capsys, "runs", "delete", "a", "r1", "--yes")
    assert (code, "run r1 goes on" in said) == (75, True)
    assert (kept / "runs/a").is_dir()


def test_the_sweep_removes_at_once_what_is_left_of_runs_that_are_gone(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("deleted", "wanted"):
        history.write(project, RECORD.changed(id=name, state="running", start=history.now()))
        (workspaces.workspace_of(project, name)).mkdir(parents=True)
    assert answer(capsys, "runs", "sweep") == "removed 0 workspaces\n"
    assert answer(capsys, "runs", "sweep", "--gone", "deleted", "unknown") == "removed 1 workspaces: deleted\n"
    assert workspaces.names(project) == ["wanted"]
