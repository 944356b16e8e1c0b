"""What a run tells about itself, for programs."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.records.run import RUN_REPORT_FILE, RunReport
from pipeline.runs.run_report import write_run_report
from pipeline.runs.stage_rows import StageRow
from pipeline.storage.record_files import read_record
from tests.runs.given import record

ROWS = [
    StageRow("ingest", "done", "10 images", seconds=1.5, readings={"peak_memory_mib": 7.0}),
    StageRow("train", "failed", "ran out of memory", readings={"out_of_memory": 1.0}),
    StageRow("gate"),
]


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
