"""The time line of a run, as coordinates: one row for each stage, and one for the whole run.

If a run has mostly waited (for a person's approval, for a retry hours later), its longest waits are cut: each gets a
fixed width, so that the stages stay readable. Nothing is drawn here; the template does that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.records.run import RunReport, StageRun
from pipeline.report.figures import duration
from pipeline.report.time_spent import (
    Interval,
    TimeSpent,
    interval,
    last_try,
    length,
    time_spent,
    when_starting,
    within,
    without,
)

_WIDTH = 960.0
_NUMBERS = 74.0  # the width of each column of figures, at the right
_LETTER = 7.4
_LONGEST_NAME = 24
_HEAD, _ROW, _FOOT = 26.0, 25.0, 30.0
_BAR = 13.0
_CUT = 34.0
_MOST_CUT = 0.4  # of the width, by all cuts together
_MOST_WAITING = 3.0  # times as long as the rest, before waits are cut
_SHORTEST_S = 0.001
_LEAST = 1.5  # the width of the shortest bar that can be seen
_TICK_ROOM = 84.0
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
_WORDS_OF_OUTCOMES = {
    "cached": "from the cache",
    "unchanged": "unchanged",
    "waiting": "not reached",
    "done": "done in an earlier attempt",
}


@dataclass(frozen=True)
class Bar:
    """A stretch of time. `kind`: startup, work, waiting, or tried, which is all that is known of an earlier try."""

    kind: str
    x: float
    width: float
    title: str


@dataclass(frozen=True)
class Line:
    """One row. `word` says why it has no bars; `failures` are where to mark that a try failed."""

    name: str
    title: str
    middle: float
    bars: tuple[Bar, ...]
    startup: str
    work: str
    word: str = ""
    failures: tuple[float, ...] = ()
    is_failed: bool = False


@dataclass(frozen=True)
class Tick:
    """A time below the axis."""

    x: float
    text: str


@dataclass(frozen=True)
class Cut:
    """A long wait, drawn shorter than it was."""

    x: float
    width: float
    text: str


@dataclass(frozen=True)
class TimeLine:
    """Everything to draw, and the sums in words."""

    lines: tuple[Line, ...]
    whole: Line
    waits: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    cuts: tuple[Cut, ...]
    has_tried: bool
    sums: dict[str, str]
    took: str
    height: float
    left: float
    right: float
    top: float = _HEAD
    width: float = _WIDTH
    bar: float = _BAR
    column: float = _NUMBERS

    @property
    def bottom(self) -> float:
        """Where the axis is."""
        return self.height - _FOOT


def time_line_of(report: RunReport) -> TimeLine | None:
    """Return the time line of a run; None if it says nothing of when its stages ran."""
    whole = report.seconds
    if whole is None or whole < _SHORTEST_S or not report.stages:
        return None
    spent = time_spent(report.stages, whole)
    longest = max(len(stage.name) for stage in report.stages)
    left = round(18 + _LETTER * min(max(longest, len("whole run")), _LONGEST_NAME), 1)
    right = _WIDTH - 2 * _NUMBERS - 6
    scale = _Scale(whole, spent, left, right)
    height = _HEAD + _ROW * (len(report.stages) + 1) + 8 + _FOOT
    sums = {kind: duration(length(when)) for kind, when in _kinds(spent)}
    return TimeLine(
        lines=tuple(_line(stage, place, scale) for place, stage in enumerate(report.stages)),
        whole=Line(
            name="whole run",
            title="",
            middle=_HEAD + _ROW * (len(report.stages) + 0.5) + 8,
            bars=tuple(
                scale.bar(kind, when, f"{_WORDS[kind]}: {duration(when[1] - when[0])}")
                for kind, times in _kinds(spent)
                for when in _seen(times)
            ),
            startup=sums["startup"],
            work=sums["work"],
        ),
        waits=tuple(scale.bar("waiting", when, "") for when in _seen(spent.waiting)),
        ticks=scale.ticks(),
        cuts=scale.cuts,
        has_tried=any(stage.earlier for stage in report.stages),
        sums=sums,
        took=duration(whole),
        height=height,
        left=left,
        right=right,
    )


_WORDS = {"startup": "start-up", "work": "work", "waiting": "waiting, no stage runs"}


def _kinds(spent: TimeSpent) -> Iterable[tuple[str, tuple[Interval, ...]]]:
    return (("startup", spent.startup), ("work", spent.work), ("waiting", spent.waiting))


def _line(stage: StageRun, place: int, scale: _Scale) -> Line:
    is_failed = stage.outcome == "failed"
    earlier = [(tried, when) for tried in stage.earlier or () for when in scale.within([interval(tried)])]
    bars = [scale.bar("tried", when, f"an earlier try, {tried.what}: {_took(when)}") for tried, when in earlier]
    failures = [scale.x(when[1]) for tried, when in earlier if tried.what == "failed"]
    own = scale.within(last_try(stage))
    starting = scale.within(when_starting(stage))
    working = _seen(without(own, starting))
    bars += [scale.bar("startup", when, f"start-up of {_started(stage, when)}: {_took(when)}") for when in starting]
    bars += [scale.bar("work", when, f"work: {_took(when)}") for when in working]
    failures += [scale.x(when[1]) for when in own if is_failed]
    return Line(
        name=stage.name if len(stage.name) <= _LONGEST_NAME else f"{stage.name[: _LONGEST_NAME - 1]}…",
        title=stage.name,
        middle=_HEAD + _ROW * (place + 0.5),
        bars=tuple(bars),
        startup=duration(length(starting)) if own else "",
        work=duration(length(working)) if own else "",
        word="" if bars or stage.began_s is not None else _WORDS_OF_OUTCOMES.get(stage.outcome, stage.outcome),
        failures=tuple(failures),
        is_failed=is_failed,
    )


def _seen(intervals: Iterable[Interval]) -> list[Interval]:
    """Return intervals without those that only rounding has left between two others."""
    return [when for when in intervals if when[1] - when[0] > _SHORTEST_S / 2]


def _started(stage: StageRun, when: Interval) -> str:
    return ", ".join(dict.fromkeys(each.what for each in stage.starts or () if when[0] <= each.began_s <= when[1]))


def _took(when: Interval) -> str:
    return duration(when[1] - when[0])


def _longest_waits(waiting: Sequence[Interval], whole: float) -> list[Interval]:
    """Return the longest waits: those without which a run has not mostly waited. None, if it has done nothing else."""
    left = length(waiting)
    most, found = _MOST_WAITING * (whole - left), list[Interval]()
    for when in sorted(waiting, key=lambda when: when[0] - when[1]):
        if left <= most or most < _SHORTEST_S:
            break
        found.append(when)
        left -= when[1] - when[0]
    return sorted(found)


class _Scale:
    """From seconds since the run's start to places on the page, with long waits cut."""

    def __init__(self, whole: float, spent: TimeSpent, left: float, right: float) -> None:
        self._cut = _longest_waits(spent.waiting, whole)
        self._cut_width = min(_CUT, (right - left) * _MOST_CUT / max(len(self._cut), 1))
        self._per_second = (right - left - self._cut_width * len(self._cut)) / (whole - length(self._cut))
        self._whole, self._left = whole, left

    def x(self, at: float) -> float:
        """Return the place of a moment."""
        cut = sum(max(min(at, end) - begin, 0.0) for begin, end in self._cut)
        shown = sum(self._cut_width * max(min(at, end) - begin, 0.0) / (end - begin) for begin, end in self._cut)
        return round(self._left + (at - cut) * self._per_second + shown, 1)

    def within(self, intervals: Iterable[Interval]) -> list[Interval]:
        """Return what of intervals lies within the run: its file may say anything."""
        return within(intervals, self._whole)

    def bar(self, kind: str, when: Interval, title: str) -> Bar:
        """Return the bar of a stretch of time."""
        begin, end = map(self.x, when)
        return Bar(kind, begin, max(round(end - begin, 1), _LEAST), title)

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """The waits that are drawn shorter than they were."""
        return tuple(Cut(self.x(when[0]), self._cut_width, _took(when)) for when in self._cut)

    def ticks(self) -> tuple[Tick, ...]:
        """Return the times to mark, none within a cut."""
        step = next((step for step in _STEPS_S if step * self._per_second >= _TICK_ROOM), None)
        if step is None:
            return (Tick(self.x(0.0), "0 s"),)
        shown = without(self.within([(0.0, self._whole)]), self._cut)
        numbers = [
            number for begin, end in shown for number in range(math.ceil(begin / step), math.floor(end / step) + 1)
        ]
        return tuple(Tick(self.x(step * number), _clock(step * number)) for number in numbers)


def _clock(at: float) -> str:
    """Return a time since the run's start as it is marked below the axis: `90 s`, `2:30 min`, `3:02:20 h`."""
    if at < 120:
        return f"{at:g} s"
    minutes, seconds = divmod(round(at), 60)
    return f"{minutes}:{seconds:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d} h"
