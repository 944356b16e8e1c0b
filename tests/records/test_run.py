"""What is known of a run, and of its stages."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pipeline.errors import DataError
from pipeline.records.run import RunRecord, RunReport, RunRequest, StageRun

DONE = StageRun(name="split", seconds=1.5, outcome="done")
BROKEN = StageRun(name="train", what="no memory left", seconds=2.5, outcome="failed", out_of_memory=1.0)


def test_a_run_is_kept_in_a_folder_of_its_own() -> None:
    record = RunRecord(id="20261128T122714Z-1", driver="airflow", state="running", start="2026-11-28T12:27:14+00:00")
    assert record.folder == "runs/20261128T122714Z-1"


@pytest.mark.parametrize(("key", "value"), [("driver", "cron"), ("state", "done"), ("outcome", "passed")])
def test_a_word_that_is_not_ours_is_refused(key: str, value: str) -> None:
    known = {"id": "1", "driver": "ratchet", "state": "success", "start": "2026-11-28T12:27:14+00:00"}
    with pytest.raises(DataError, match=rf"record\.json: {key}: "):
        RunRecord.from_json({**known, key: value}, "record.json")


def test_a_report_names_the_stage_at_which_the_run_stopped() -> None:
    assert RunReport(stages=(DONE, BROKEN)).failed == BROKEN


def test_a_report_of_a_run_that_did_not_stop_names_none() -> None:
    assert RunReport(stages=(DONE,)).failed is None


def test_readings_that_there_are_none_of_are_not_written() -> None:
    assert RunReport(stages=(DONE,)).to_json()["stages"] == [
        {"name": "split", "what": "", "seconds": 1.5, "outcome": "done"}
    ]


def test_that_a_stage_took_no_time_is_written() -> None:
    [stage] = RunReport(stages=(StageRun(name="split"),)).to_json()["stages"]
    assert stage["seconds"] is None


@pytest.mark.parametrize("as_of", ["2026-11-2", "yesterday", "2026-11-22T00:00", ""])
def test_what_is_asked_as_of_is_a_date(as_of: str) -> None:
    with pytest.raises(ValidationError, match="as_of"):
        RunRequest(id="1", as_of=as_of)
