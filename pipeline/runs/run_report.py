"""What a run reports about itself: `reports/run.json` for programs, `reports/index.html` for people."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from pipeline.records.run import PAGE_FILE, RUN_REPORT_FILE, RunRecord, RunReport, Span, StageRun
from pipeline.report.time_spent import length, time_spent, when_run, when_starting
from pipeline.runs import history
from pipeline.runs.afterwards import at_the_end
from pipeline.runs.stage_rows import Interval, StageRow
from pipeline.storage.record_files import write_record

PAGE = Path(PAGE_FILE)
_DIGITS = 3  # of seconds: nobody measures less than a millisecond here


def write_run_report(workspace: Path, rows: Iterable[StageRow], record: RunRecord) -> None:
    """Write `reports/run.json`: who requested what, and what happened in each stage and when, with its readings."""
    began_s = datetime.fromisoformat(record.start).timestamp()
    stages = tuple(_stage_run(row, began_s) for row in rows)
    # Machines' clocks differ, and any may be set back: no stage ends after the run.
    ends = [end for stage in stages for _, end in when_run(stage)]
    whole = round(max(time.time() - began_s, 0.0, *ends), _DIGITS)
    spent = time_spent(stages, whole)
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
        seconds=whole,
        startup_seconds=round(length(spent.startup), _DIGITS),
        work_seconds=round(length(spent.work), _DIGITS),
        waiting_seconds=round(length(spent.waiting), _DIGITS),
        stages=stages,
    )
    write_record(workspace / RUN_REPORT_FILE, report)


def _stage_run(row: StageRow, run_began_s: float) -> StageRun:
    stage = StageRun(name=row.name, what=row.what, seconds=row.seconds, outcome=row.state)
    stage = stage.changed(**row.readings, earlier=_spans(row.earlier, run_began_s) or None)
    if row.when is None or not (own := _spans([row.when], run_began_s)):
        return stage
    starts = _spans(row.starts, run_began_s)
    stage = stage.changed(began_s=own[0].began_s, seconds=own[0].seconds, starts=starts)
    return stage.changed(startup_seconds=round(length(when_starting(stage)), _DIGITS))


def _spans(intervals: Sequence[Interval], run_began_s: float) -> tuple[Span, ...]:
    """Return intervals that have ended as spans of this attempt at the run: those of an earlier one are left out."""
    spans = []
    for interval in intervals:
        if interval.ended_s is not None and interval.ended_s > run_began_s:
            began_s = round(max(interval.began_s - run_began_s, 0.0), _DIGITS)
            ended_s = round(interval.ended_s - run_began_s, _DIGITS)
            seconds = round(max(ended_s - began_s, 0.0), _DIGITS)
            spans.append(Span(what=interval.what, began_s=began_s, seconds=seconds))
    return tuple(spans)


def report_run(workspace: Path, rows: Iterable[StageRow], record: RunRecord) -> None:
    """Write both. The page is written even if the report for programs cannot be."""
    with at_the_end(lambda: render_page(workspace), f"{PAGE} is not written"):
        write_run_report(workspace, rows, record)


def render_page(workspace: Path) -> None:
    """Write `reports/index.html`, the page for people, from what is there."""
    from pipeline.report.page import render
    from pipeline.storage.artifacts import write_file

    write_file(workspace / PAGE, render(workspace))
