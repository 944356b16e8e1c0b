"""What a run tells about itself, for programs."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.records.run import RUN_REPORT_FILE, RunReport, Span
from pipeline.runs.run_report import write_run_report
from pipeline.runs.stage_rows import Interval, StageRow
from pipeline.storage.record_files import read_record
from tests.runs.given import record

ROWS = [
    StageRow("ingest", "done", "10 images", seconds=1.5, readings={"peak_memory_mib": 7.0}),
    StageRow("train", "failed", "ran out of memory", readings={"out_of_memory": 1.0}),
    StageRow("gate"),
]
BEGAN_S = datetime.fromisoformat(record().start).timestamp()
TOOK_S = 100.0


def reported(tmp_path: Path) -> RunReport:
    asked = record("r1", config="configs/a.yaml", overrides={"train.epochs": 3}, reason="a try", asked_by="me")
    write_run_report(tmp_path, ROWS, asked)
    return read_record(tmp_path / RUN_REPORT_FILE, RunReport)


def test_it_says_who_asked_for_what(tmp_path: Path) -> None:
    report = reported(tmp_path)
    assert (report.id, report.driver, report.started_at) == ("r1", "airflow", record().start)
    assert (report.config, report.overrides) == ("configs/a.yaml", {"train.epochs": 3})
    assert (report.reason, report.asked_by) == ("a try", "me")
    assert report.finished_at > report.started_at


def test_it_says_what_happened_in_each_stage(tmp_path: Path) -> None:
    stages = reported(tmp_path).stages
    assert [(stage.name, stage.outcome, stage.what, stage.seconds) for stage in stages] == [
        ("ingest", "done", "10 images", 1.5),
        ("train", "failed", "ran out of memory", None),
        ("gate", "waiting", "", None),
    ]
    assert (stages[0].peak_memory_mib, stages[1].out_of_memory) == (7.0, 1.0)


def test_it_says_where_the_run_stopped(tmp_path: Path) -> None:
    failed = reported(tmp_path).failed
    assert failed is not None
    assert failed.name == "train"


def test_a_reading_that_there_is_none_of_is_not_written(tmp_path: Path) -> None:
    reported(tmp_path)
    written = json.loads((tmp_path / RUN_REPORT_FILE).read_text())["stages"]
    assert written[2] == {"name": "gate", "what": "", "seconds": None, "outcome": "waiting"}


def timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *rows: StageRow, took_s: float = TOOK_S) -> RunReport:
    """Report a run of so many seconds."""
    monkeypatch.setattr(time, "time", lambda: BEGAN_S + took_s)
    write_run_report(tmp_path, rows, record())
    return read_record(tmp_path / RUN_REPORT_FILE, RunReport)


def ran(name: str, began_s: float, seconds: float, *starts: tuple[float, float]) -> StageRow:
    kept = [Interval("Spark", BEGAN_S + begin, BEGAN_S + end) for begin, end in starts]
    return StageRow(name, "done", started_s=BEGAN_S + began_s, seconds=seconds, starts=kept)


def test_it_says_when_each_stage_began_and_what_of_its_time_was_start_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [ran("clean", 2.0, 10.0, (2.0, 3.0), (3.5, 8.0)), StageRow("split", "cached"), ran("train", 20.0, 70.0)]
    report = timed(tmp_path, monkeypatch, *rows)
    clean, split, train = report.stages
    assert (clean.began_s, clean.seconds, clean.startup_seconds) == (2.0, 10.0, 5.5)
    assert clean.starts == (Span(what="Spark", began_s=2.0, seconds=1.0), Span(what="Spark", began_s=3.5, seconds=4.5))
    assert (split.began_s, split.seconds, split.startup_seconds, split.starts) == (None, None, None, None)
    assert (train.began_s, train.startup_seconds) == (20.0, 0.0)
    assert (report.seconds, report.startup_seconds, report.work_seconds, report.waiting_seconds) == (
        100.0,
        5.5,
        74.5,
        20.0,
    )


def test_a_stage_that_ran_in_an_earlier_attempt_only_is_no_part_of_this_ones_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ran("clean", -500.0, 10.0, (-500.0, -498.0))
    before.earlier = [Interval("failed", BEGAN_S - 900.0, BEGAN_S - 800.0)]
    report = timed(tmp_path, monkeypatch, before)
    [clean] = report.stages
    assert (clean.began_s, clean.startup_seconds, clean.earlier, clean.outcome) == (None, None, None, "done")
    assert clean.seconds == 10.0
    assert report.waiting_seconds == report.seconds == TOOK_S


def test_tries_before_the_last_one_are_said_with_how_they_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = ran("train", 50.0, 10.0)
    train.earlier = [Interval("failed", BEGAN_S + 10.0, BEGAN_S + 30.0)]
    report = timed(tmp_path, monkeypatch, train)
    assert report.stages[0].earlier == (Span(what="failed", began_s=10.0, seconds=20.0),)
    assert (report.work_seconds, report.waiting_seconds) == (30.0, 70.0)


def test_clocks_that_differ_give_no_negative_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = timed(tmp_path, monkeypatch, ran("clean", -1.0, 5.0), ran("train", 8.0, 3.0), took_s=10.0)
    assert [(stage.began_s, stage.seconds) for stage in report.stages] == [(0.0, 4.0), (8.0, 3.0)]
    assert (report.seconds, report.waiting_seconds) == (11.0, 4.0)


def test_a_clock_that_was_set_back_before_the_run_began_gives_no_time_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = timed(tmp_path, monkeypatch, ran("clean", -50.0, 5.0), took_s=-20.0)
    assert (report.seconds, report.startup_seconds, report.work_seconds, report.waiting_seconds) == (0.0,) * 4
