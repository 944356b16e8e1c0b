"""`ratchet runs`: the list of runs, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.records.run import RunRecord
from pipeline.runs import history
from tests.cli.given import answer

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
