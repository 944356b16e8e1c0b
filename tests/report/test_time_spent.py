"""What the time of a run went into: whatever its stages did, start-up, work and waiting are the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records.run import Span, StageRun
from pipeline.report.time_spent import length, time_spent, union, within, without

SECONDS = st.floats(0.0, 100.0)
SPANS = st.builds(Span, what=st.just("Spark"), began_s=SECONDS, seconds=SECONDS)
STAGES = st.lists(
    st.builds(
        StageRun,
        name=st.just("clean"),
        began_s=st.none() | SECONDS,
        seconds=st.none() | SECONDS,
        starts=st.none() | st.lists(SPANS, max_size=3).map(tuple),
        earlier=st.none() | st.lists(SPANS, max_size=2).map(tuple),
    ),
    max_size=5,
)
INTERVALS = st.lists(st.tuples(SECONDS, SECONDS), max_size=6)


def ran(began_s: float, seconds: float, *starts: tuple[float, float]) -> StageRun:
    spans = tuple(Span(what="Spark", began_s=begin, seconds=end - begin) for begin, end in starts)
    return StageRun(name="clean", began_s=began_s, seconds=seconds, starts=spans)


@given(stages=STAGES, whole=SECONDS)
def test_start_up_work_and_waiting_are_the_whole(stages: list[StageRun], whole: float) -> None:
    spent = time_spent(stages, whole)
    every = (*spent.startup, *spent.work, *spent.waiting)
    assert sum(end - begin for begin, end in every) == pytest.approx(whole)  # so none of them overlap
    assert length(every) == pytest.approx(whole)
    assert all(0.0 <= begin < end <= whole for begin, end in every)


def test_a_stage_starts_works_and_the_run_waits_before_and_after() -> None:
    spent = time_spent([ran(2.0, 5.0, (2.0, 4.0))], 10.0)
    assert (spent.waiting, spent.startup, spent.work) == (((0.0, 2.0), (7.0, 10.0)), ((2.0, 4.0),), ((4.0, 7.0),))


def test_while_one_stage_works_another_ones_start_costs_nothing() -> None:
    spent = time_spent([ran(0.0, 6.0), ran(4.0, 6.0, (4.0, 8.0))], 10.0)
    assert (spent.work, spent.startup, spent.waiting) == (((0.0, 6.0), (8.0, 10.0)), ((6.0, 8.0),), ())


def test_starts_at_the_same_time_count_once() -> None:
    assert time_spent([ran(0.0, 4.0, (0.0, 3.0), (1.0, 2.0))], 4.0).startup == ((0.0, 3.0),)


def test_an_earlier_try_is_no_waiting() -> None:
    tried = StageRun(name="train", earlier=(Span(what="failed", began_s=1.0, seconds=2.0),))
    assert time_spent([tried], 4.0).waiting == ((0.0, 1.0), (3.0, 4.0))


def test_a_run_of_which_no_stage_ran_has_waited() -> None:
    assert time_spent([StageRun(name="train", outcome="cached")], 3.0).waiting == ((0.0, 3.0),)


@given(intervals=INTERVALS, others=INTERVALS)
def test_what_is_taken_out_and_what_is_left_are_all(
    intervals: list[tuple[float, float]], others: list[tuple[float, float]]
) -> None:
    left = without(union(intervals), union(others))
    assert length([*left, *union(others)]) == pytest.approx(length([*union(intervals), *union(others)]))
    assert length(left) + length(union(others)) == pytest.approx(length([*left, *union(others)]))


@given(intervals=INTERVALS, whole=SECONDS)
def test_nothing_is_within_a_whole_but_what_lies_in_it(intervals: list[tuple[float, float]], whole: float) -> None:
    assert all(0.0 <= begin < end <= whole for begin, end in within(intervals, whole))
