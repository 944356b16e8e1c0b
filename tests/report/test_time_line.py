"""The time line of a run, as coordinates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records.run import RunReport, Span, StageRun
from pipeline.report.time_line import Line, TimeLine, time_line_of

SECONDS = st.floats(0.0, 1e6)
SPANS = st.builds(Span, what=st.just("Spark"), began_s=SECONDS, seconds=SECONDS)
RUNS = st.builds(
    RunReport,
    seconds=SECONDS,
    stages=st.lists(
        st.builds(
            StageRun,
            name=st.text(max_size=40),
            began_s=st.none() | SECONDS,
            seconds=st.none() | SECONDS,
            starts=st.none() | st.lists(SPANS, max_size=2).map(tuple),
            earlier=st.none() | st.lists(SPANS, max_size=2).map(tuple),
            outcome=st.sampled_from(["done", "failed", "cached", "waiting"]),
        ),
        max_size=4,
    ).map(tuple),
)


def ran(name: str, began_s: float, seconds: float, *starts: tuple[float, float], outcome: str = "done") -> StageRun:
    spans = tuple(Span(what="Spark", began_s=begin, seconds=end - begin) for begin, end in starts)
    return StageRun(name=name, began_s=began_s, seconds=seconds, starts=spans, outcome=outcome)


def drawn(seconds: float, *stages: StageRun) -> TimeLine:
    line = time_line_of(RunReport(seconds=seconds, stages=stages))
    assert line is not None
    return line


def kinds(line: Line) -> list[str]:
    return [bar.kind for bar in line.bars]


def test_a_stage_starts_up_and_works() -> None:
    line = drawn(20.0, ran("clean", 5.0, 10.0, (5.0, 8.0)))
    [clean] = line.lines
    startup, work = clean.bars
    assert (startup.kind, work.kind) == ("startup", "work")
    assert startup.x == pytest.approx(line.left + (line.right - line.left) / 4, abs=0.1)
    assert work.x == pytest.approx(startup.x + startup.width, abs=0.15)
    assert work.width / startup.width == pytest.approx(7 / 3, rel=0.01)
    assert (clean.startup, clean.work, clean.is_failed, clean.failures) == ("3.0 s", "7.0 s", False, ())
    assert startup.title == "start-up of Spark: 3.0 s"


def test_between_two_starts_that_rounding_keeps_apart_nothing_is_drawn() -> None:
    line = drawn(20.0, ran("clean", 5.0, 10.0, (5.0, 6.0), (6.0 + 1e-9, 8.0)))
    assert kinds(line.lines[0]) == ["startup", "startup", "work"]
    assert kinds(line.whole) == ["startup", "startup", "work", "waiting", "waiting"]


def test_the_whole_run_is_a_line_of_its_own_with_its_sums() -> None:
    line = drawn(20.0, ran("clean", 5.0, 10.0, (5.0, 8.0)))
    assert kinds(line.whole) == ["startup", "work", "waiting", "waiting"]
    assert line.sums == {"startup": "3.0 s", "work": "7.0 s", "waiting": "10.0 s"}
    assert line.took == "20.0 s"
    assert line.lines[-1].middle < line.whole.middle < line.bottom


def test_stages_side_by_side_overlap() -> None:
    line = drawn(20.0, ran("a", 0.0, 20.0), ran("b", 5.0, 10.0))
    (long,), (short,) = (each.bars for each in line.lines)
    assert long.x < short.x
    assert short.x + short.width < long.x + long.width
    assert line.waits == ()


@pytest.mark.parametrize(
    ("outcome", "word"),
    [("cached", "from the cache"), ("unchanged", "unchanged"), ("waiting", "not reached"), ("odd", "odd")],
)
def test_a_stage_that_did_not_run_says_why(outcome: str, word: str) -> None:
    line = drawn(20.0, StageRun(name="clean", outcome=outcome), ran("train", 1.0, 5.0))
    assert (line.lines[0].word, line.lines[0].bars, line.lines[0].startup) == (word, (), "")


def test_a_stage_that_was_done_before_this_attempt_says_so() -> None:
    line = drawn(20.0, StageRun(name="clean", outcome="done", seconds=3.0), ran("train", 1.0, 5.0))
    assert (line.lines[0].word, line.lines[0].work) == ("done in an earlier attempt", "")


def test_a_failure_is_marked_where_it_happened() -> None:
    line = drawn(20.0, ran("clean", 5.0, 10.0, outcome="failed"))
    [failed] = line.lines
    assert failed.is_failed
    assert failed.failures == pytest.approx([failed.bars[-1].x + failed.bars[-1].width], abs=0.15)


def test_an_earlier_try_is_drawn_too_and_marked_if_it_failed() -> None:
    tried = (Span(what="done", began_s=0.0, seconds=0.5), Span(what="failed", began_s=1.0, seconds=2.0))
    line = drawn(20.0, ran("train", 10.0, 5.0).changed(earlier=tried))
    [train] = line.lines
    assert kinds(train) == ["tried", "tried", "work"]
    assert train.bars[1].title == "an earlier try, failed: 2.0 s"
    assert train.failures == pytest.approx([train.bars[1].x + train.bars[1].width], abs=0.15)
    assert (train.is_failed, line.has_tried) == (False, True)


def test_the_wait_of_a_run_that_has_mostly_waited_is_cut_and_says_how_long_it_was() -> None:
    line = drawn(86_400.0, ran("a", 0.0, 30.0), ran("b", 86_370.0, 30.0))
    [cut] = line.cuts
    assert cut.text == "23 h 59 min"
    for stage in line.lines:
        assert stage.bars[0].width > 0.4 * (line.right - line.left)
    assert [tick.text for tick in line.ticks] == [
        *("0 s", "10 s", "20 s", "30 s"),
        *("23:59:30 h", "23:59:40 h", "23:59:50 h", "24:00:00 h"),
    ]


def test_only_the_longest_waits_are_cut() -> None:
    line = drawn(1000.0, ran("a", 20.0, 40.0), ran("b", 500.0, 60.0))
    assert [cut.text for cut in line.cuts] == ["7 min 20 s", "7 min 20 s"]
    assert line.cuts[0].x > line.lines[0].bars[0].x


@pytest.mark.parametrize("seconds", [5.0, 20.0])
def test_a_long_wait_that_leaves_the_rest_readable_is_not_cut(seconds: float) -> None:
    assert drawn(20.0, ran("a", 0.0, seconds)).cuts == ()


def test_a_run_that_did_nothing_but_wait_is_not_cut() -> None:
    line = drawn(20.0, StageRun(name="a", outcome="cached"))
    assert (line.cuts, kinds(line.whole)) == ((), ["waiting"])


@pytest.mark.parametrize(
    ("seconds", "last"), [(0.5, "0.5 s"), (12.0, "12 s"), (110.0, "100 s"), (600.0, "10:00 min"), (7200.0, "2:00:00 h")]
)
def test_the_axis_is_marked_in_round_times(seconds: float, last: str) -> None:
    assert drawn(seconds, ran("a", 0.0, seconds)).ticks[-1].text == last


def test_a_long_name_is_cut_and_said_whole_on_its_title() -> None:
    [line] = drawn(20.0, ran("a" * 60, 0.0, 20.0)).lines
    assert (len(line.name), line.name[-1], line.title) == (24, "…", "a" * 60)


@pytest.mark.parametrize(
    "report", [RunReport(), RunReport(seconds=3.0), RunReport(seconds=0.0, stages=(StageRun(name="a"),))]
)
def test_without_times_or_stages_there_is_no_line(report: RunReport) -> None:
    assert time_line_of(report) is None


@given(report=RUNS)
def test_whatever_a_run_says_everything_is_drawn_within_the_picture(report: RunReport) -> None:
    line = time_line_of(report)
    if line is None:
        return
    for bar in (bar for each in (*line.lines, line.whole) for bar in each.bars):
        assert line.left <= bar.x <= line.right + 0.1
        assert bar.width >= 1.5
        assert bar.x + bar.width <= line.right + 1.7
    assert len(line.ticks) < 40
    assert all(line.left <= tick.x <= line.right + 0.1 for tick in line.ticks)
