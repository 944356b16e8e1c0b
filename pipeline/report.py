"""What a run tells about itself: `reports/run.json` for programs, `reports/index.html` for people."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline import history
from pipeline.artifacts import write_json
from pipeline.console import StageRow
from pipeline.history import Record

VERDICT = Path("reports") / "verdict.json"
REGISTRATION = Path("reports") / "registration.json"
RUN_REPORT = Path("reports") / "run.json"
PAGE = Path("reports") / "index.html"


def write_run_report(place: Path, rows: Iterable[StageRow], record: Record) -> None:
    """Write `reports/run.json`: who asked for what, and what happened in each stage, with its readings."""
    write_json(
        place / RUN_REPORT,
        {
            "driver": record.driver,
            "id": record.id,
            "config": record.config,
            "overrides": dict(record.overrides),
            "reason": record.reason,
            "asked_by": record.asked_by,
            "started_at": record.start,
            "finished_at": history.now(),
            "stages": [
                {"name": r.name, "what": r.what, "seconds": r.seconds, "outcome": r.state, **r.readings} for r in rows
            ],
        },
    )


def render_page(place: Path) -> None:
    """Write `reports/index.html`, the page for people, from what is there."""
    from pipeline.artifacts import write_file
    from pipeline.evaluation.page import render

    write_file(place / PAGE, render(place))
