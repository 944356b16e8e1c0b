"""What the time of a run went into: starting things, work, and waiting, which is when no stage runs.

Stages may run side by side. A moment at which any of them works is work, however many others are starting up; so the
three always add up to the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.records.run import Span, StageRun

Interval = tuple[float, float]  # from when to when, in seconds since the run's start


@dataclass(frozen=True)
class TimeSpent:
    """When a run, from its start on, did what; each as `union` returns it."""

    startup: tuple[Interval, ...]
    work: tuple[Interval, ...]
    waiting: tuple[Interval, ...]


def time_spent(stages: Iterable[StageRun], whole: float) -> TimeSpent:
    """Return what the `whole` of a run, in seconds, went into."""
    ran, worked = list[Interval](), list[Interval]()
    for stage in stages:
        own = when_run(stage)
        ran += own
        worked += without(own, when_starting(stage))
    busy, work = within(ran, whole), within(worked, whole)
    waiting = without(within([(0.0, whole)], whole), busy)
    return TimeSpent(startup=tuple(without(busy, work)), work=tuple(work), waiting=tuple(waiting))


def when_run(stage: StageRun) -> list[Interval]:
    """Return when a stage ran, in earlier tries too."""
    return union([*last_try(stage), *map(interval, stage.earlier or ())])


def last_try(stage: StageRun) -> list[Interval]:
    """Return when a stage ran the last time, if it did."""
    if stage.began_s is None or stage.seconds is None:
        return []
    return [(stage.began_s, stage.began_s + stage.seconds)]


def when_starting(stage: StageRun) -> list[Interval]:
    """Return when a stage was starting something."""
    return union(map(interval, stage.starts or ()))


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the same times as intervals that neither meet nor overlap, the first one first."""
    found: list[Interval] = []
    for begin, end in sorted(intervals):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif end > begin:
            found.append((begin, end))
    return found


def without(intervals: Sequence[Interval], others: Sequence[Interval]) -> list[Interval]:
    """Return what is left of intervals where others are taken out; both as `union` returns them."""
    left = list(intervals)
    for other_begin, other_end in others:
        left = [
            part
            for begin, end in left
            for part in ((begin, min(end, other_begin)), (max(begin, other_end), end))
            if part[1] > part[0]
        ]
    return left


def within(intervals: Iterable[Interval], whole: float) -> list[Interval]:
    """Return what of intervals lies between 0 and the whole, as `union` returns it."""
    return union((max(begin, 0.0), min(end, whole)) for begin, end in intervals)


def length(intervals: Iterable[Interval]) -> float:
    """Return how long intervals take together, counting no moment twice."""
    return sum(end - begin for begin, end in union(intervals))


def interval(span: Span) -> Interval:
    """Return a span as from when to when it was."""
    return span.began_s, span.began_s + span.seconds
