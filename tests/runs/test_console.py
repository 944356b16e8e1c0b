"""What a person sees of a run."""

from __future__ import annotations

import pytest

from pipeline.runs.console import Console
from pipeline.runs.stage_rows import StageRow, apply_event


def test_events_move_a_row_from_waiting_to_done() -> None:
    row = StageRow("train")
    apply_event(row, {"event": "begin", "at_s": 10.0})
    assert row.state == "running"
    apply_event(row, {"event": "advance", "at_s": 11.0, "done": 5_000, "total": 10_000, "unit": "images", "note": "x"})
    assert (row.done, row.total, row.what) == (5_000, 10_000, "5 000 of 10 000 images  x")
    apply_event(row, {"event": "finish", "at_s": 14.0, "summary": "10 000 images", "peak_memory_mib": 7.0})
    assert (row.state, row.what, row.seconds, row.readings) == ("done", "10 000 images", 4.0, {"peak_memory_mib": 7.0})


def test_a_failure_keeps_its_line() -> None:
    row = StageRow("train", started_s=1.0)
    apply_event(row, {"event": "fail", "at_s": 2.0, "summary": "a rank was lost", "exit_code": 75})
    assert (row.state, row.what) == ("failed", "a rank was lost")


def test_without_a_terminal_there_are_plain_lines_and_a_table_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [StageRow("ingest"), StageRow("clean", "unchanged", "unchanged")]
    with Console(rows) as console:
        apply_event(rows[0], {"event": "begin", "at_s": 1.0})
        apply_event(rows[0], {"event": "finish", "at_s": 2.5, "summary": "12 000 images"})
        console.show(rows[0])
        console.show(rows[0])
    console.finish()
    out = capsys.readouterr().out
    assert out.startswith("ingest: 12 000 images  1.5 s\n\nstage ")
    table = out.splitlines()[-2:]
    assert table[0].split() == ["ingest", "12", "000", "images", "1.5", "s"]
    assert table[1].split() == ["clean", "unchanged"]
