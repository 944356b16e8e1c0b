"""What a run reports about itself: `reports/run.json` for programs, `reports/index.html` for people."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.records.run import PAGE_FILE, RUN_REPORT_FILE, RunRecord, RunReport, StageRun
from pipeline.runs import history
from pipeline.runs.afterwards import at_the_end
from pipeline.runs.stage_rows import StageRow
from pipeline.storage.record_files import write_record

PAGE = Path(PAGE_FILE)


def write_run_report(workspace: Path, rows: Iterable[StageRow], record: RunRecord) -> None:
    """Write `reports/run.json`: who requested what, and what happened in each stage, with its readings."""
    stages = tuple(
        StageRun(name=row.name, what=row.what, seconds=row.seconds, outcome=row.state, **row.readings) for row in rows
    )
    report = RunReport(
        driver=record.driver,
        id=record.id,
        config=record.config,
        overrides=record.overrides,
        reason=record.reason,
        asked_by=record.asked_by,
        attempt=record.attempt,
        photograph=record.photograph,
        commit=record.commit,
        is_dirty=record.is_dirty,
        started_at=record.start,
        finished_at=history.now(),
        stages=stages,
    )
    write_record(workspace / RUN_REPORT_FILE, report)


def report_run(workspace: Path, rows: Iterable[StageRow], record: RunRecord) -> None:
    """Write both. The page is written even if the report for programs cannot be."""
    with at_the_end(lambda: render_page(workspace), f"{PAGE} is not written"):
        write_run_report(workspace, rows, record)


def render_page(workspace: Path) -> None:
    """Write `reports/index.html`, the page for people, from what is there."""
    from pipeline.report.page import render
    from pipeline.storage.artifacts import write_file

    write_file(workspace / PAGE, render(workspace))
