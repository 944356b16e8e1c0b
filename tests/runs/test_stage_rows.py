"""What the events of a stage make of its row."""

from __future__ import annotations

from pipeline.runs.stage_rows import StageRow, apply_event


def test_a_stage_that_begins_runs() -> None:
    row = StageRow("train", state="failed", total=7)
    apply_event(row, {"event": "begin", "at_s": 10.0})
    assert (row.state, row.started_s, row.what, row.total) == ("running", 10.0, "starting", 0)


def test_a_step_is_told_in_its_words_and_counts_nothing() -> None:
    row = StageRow("train", total=7)
    apply_event(row, {"event": "step", "at_s": 11.0, "what": "starting TensorFlow"})
    assert (row.what, row.total) == ("starting TensorFlow", 0)


def test_what_is_done_is_counted_with_its_unit() -> None:
    row = StageRow("train")
    apply_event(row, {"event": "advance", "at_s": 11.0, "done": 5_000, "total": 10_000, "unit": "images", "note": "x"})
    assert (row.done, row.total, row.what) == (5_000, 10_000, "5 000 of 10 000 images  x")


def test_a_stage_that_ends_has_its_summary_its_time_and_its_readings() -> None:
    row = StageRow("train", state="running", started_s=10.0, total=7)
    apply_event(row, {"event": "finish", "at_s": 14.0, "summary": "10 000 images", "peak_memory_mib": 7.0})
    assert (row.state, row.what, row.seconds, row.total) == ("done", "10 000 images", 4.0, 0)
    assert row.readings == {"peak_memory_mib": 7.0}


def test_a_stage_of_which_no_beginning_was_heard_has_no_time() -> None:
    row = StageRow("train")
    apply_event(row, {"event": "finish", "at_s": 14.0, "summary": "10 000 images"})
    assert row.seconds is None


def test_a_failure_keeps_its_line() -> None:
    row = StageRow("train", started_s=1.0)
    apply_event(row, {"event": "fail", "at_s": 2.0, "summary": "a rank was lost", "exit_code": 75})
    assert (row.state, row.what) == ("failed", "a rank was lost")
