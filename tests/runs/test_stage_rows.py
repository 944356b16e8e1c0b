"""What the events of a stage make of its row."""

from __future__ import annotations

import json

from pipeline.runs.stage_rows import Interval, StageRow, apply_event


def test_a_stage_that_begins_runs() -> None:
    row = StageRow("train", state="failed", total=7)
    apply_event(row, {"event": "begin", "at_s": 10.0, "ready_s": 10.5})
    assert (row.state, row.started_s, row.what, row.total) == ("running", 10.0, "starting", 0)
    assert row.starts == [Interval("its process", 10.0, 10.5)]


def test_code_of_an_earlier_photograph_says_nothing_of_its_process() -> None:
    row = StageRow("train")
    apply_event(row, {"event": "begin", "at_s": 10.0})
    assert (row.started_s, row.starts) == (10.0, [])


def test_a_stage_for_which_nothing_was_ready_after_all_begins_once() -> None:
    row = StageRow("train")
    apply_event(row, {"event": "begin", "at_s": 10.0, "ready_s": 10.1})
    apply_event(row, {"event": "starting", "at_s": 10.1, "what": "what it needs"})
    apply_event(row, {"event": "begin", "at_s": 10.0, "ready_s": 10.5})
    assert (row.started_s, row.starts, row.earlier) == (10.0, [Interval("its process", 10.0, 10.5)], [])


def test_a_stage_begins_when_dvc_says_so_if_that_was_before_its_process() -> None:
    row = StageRow("train")
    row.begin(9.0)
    apply_event(row, {"event": "begin", "at_s": 10.0, "ready_s": 10.5})
    assert (row.started_s, row.starts) == (9.0, [Interval("its process", 9.0, 10.5)])


def test_a_beginning_that_was_noticed_late_is_as_early_as_the_process() -> None:
    row = StageRow("train")
    row.begin(10.03)
    apply_event(row, {"event": "begin", "at_s": 10.0})
    assert row.started_s == 10.0


def test_what_is_being_started_is_told_and_kept_with_its_time() -> None:
    row = StageRow("clean", total=7)
    apply_event(row, {"event": "starting", "at_s": 11.0, "what": "Spark"})
    assert (row.what, row.total, row.starts) == ("starting Spark", 0, [Interval("Spark", 11.0)])
    apply_event(row, {"event": "started", "at_s": 14.0, "what": "Spark"})
    assert row.starts == [Interval("Spark", 11.0, 14.0)]


def test_a_start_that_is_repeated_is_kept_twice_and_one_within_another_too() -> None:
    row = StageRow("gate")
    for at_s, event, what in (
        (1.0, "starting", "a"),
        (2.0, "starting", "b"),
        (3.0, "started", "b"),
        (4.0, "started", "a"),
    ):
        apply_event(row, {"event": event, "at_s": at_s, "what": what})
    apply_event(row, {"event": "starting", "at_s": 5.0, "what": "a"})
    apply_event(row, {"event": "started", "at_s": 6.0, "what": "a"})
    assert row.starts == [Interval("a", 1.0, 4.0), Interval("b", 2.0, 3.0), Interval("a", 5.0, 6.0)]


def test_what_was_being_started_when_the_stage_ended_ended_with_it() -> None:
    row = StageRow("clean", started_s=10.0)
    apply_event(row, {"event": "starting", "at_s": 11.0, "what": "Spark"})
    apply_event(row, {"event": "fail", "at_s": 12.0, "summary": "no Java", "exit_code": 2})
    assert row.starts == [Interval("Spark", 11.0, 12.0)]


def test_a_clock_that_was_set_back_makes_no_negative_time() -> None:
    row = StageRow("clean", started_s=10.0)
    row.end("done", "", 9.0)
    assert row.seconds == 0.0


def test_of_an_earlier_try_only_its_time_and_how_it_ended_is_kept() -> None:
    row = StageRow("train", started_s=10.0, readings={"out_of_memory": 1.0})
    row.end("failed", "killed", 12.0)
    row = row.again()
    assert row == StageRow("train", earlier=[Interval("failed", 10.0, 12.0)])
    row.begin(20.0)
    row.end("failed", "killed", 21.0)
    row.begin(30.0)
    assert row.earlier == [Interval("failed", 10.0, 12.0), Interval("failed", 20.0, 21.0)]
    assert (row.state, row.seconds, row.readings) == ("running", None, {})


def test_a_stage_that_has_not_run_is_no_earlier_try() -> None:
    assert StageRow("train", state="cached").again() == StageRow("train")


def test_a_row_is_the_same_after_a_file() -> None:
    row = StageRow(
        "train", started_s=10.0, starts=[Interval("Spark", 1.0, 2.0)], earlier=[Interval("failed", 0.0, 0.5)]
    )
    assert StageRow.from_json(json.loads(json.dumps(row.to_json()))) == row


def test_a_row_of_an_earlier_ratchet_is_read() -> None:
    assert StageRow.from_json({"name": "train", "state": "done", "seconds": 1.0}) == StageRow(
        "train", "done", seconds=1.0
    )


def test_a_step_is_told_in_its_words_and_counts_nothing() -> None:
    row = StageRow("train", total=7)
    apply_event(row, {"event": "step", "at_s": 11.0, "what": "starting TensorFlow"})
    assert (row.what, row.total) == ("starting TensorFlow", 0)


def test_what_is_done_is_counted_with_its_unit() -> None:
    row = StageRow("train")
    apply_event(row, {"event": "advance", "at_s": 10.5, "done": 5_000, "total": None, "unit": "rows", "note": ""})
    assert (row.what, row.total) == ("5 000 rows", 0)
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
