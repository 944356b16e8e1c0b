"""Whether the machine was quiet while something was measured, and what to do when it was not.

A wall time says something about our code only while nothing else wants the processors. Two things may: other programs
on this machine (all busy time less that of our own processes), and other machines on the same hardware (time that the
hypervisor has stolen). Both are shares of all processors, from `/proc/stat` (proc(5)). Time is stolen only from a
processor that wants to run, so a machine that waits does not notice: each round is judged by what happened during it.

A benchmark that could not measure prints no ratio: it says in one line what was in the way, and exits with 75.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NoReturn, TypeVar

import psutil

OTHERS_AT_MOST = 0.08  # share of the processors that other programs may use in a quiet interval
STOLEN_AT_MOST = 0.02  # and that the hypervisor may steal
LISTEN_S = 0.5
T = TypeVar("T")


class CouldNotMeasure(SystemExit):
    """What a benchmark ends with when the machine did not let it measure."""


@dataclass(frozen=True)
class Sample:
    """Processor time so far, over all processors, seconds; `own_s` is the part of `busy_s` that is ours."""

    total_s: float
    busy_s: float
    stolen_s: float
    own_s: float


@dataclass(frozen=True)
class Noise:
    """What else happened in an interval, as shares of all processors."""

    others: float
    stolen: float

    @property
    def is_quiet(self) -> bool:
        return self.others <= OTHERS_AT_MOST and self.stolen <= STOLEN_AT_MOST

    def __str__(self) -> str:
        return f"other programs {self.others:.1%}, stolen {self.stolen:.1%} of the processors"


@dataclass(frozen=True)
class QuietRounds(Generic[T]):
    """What the quiet rounds gave, and the noise of all rounds that were tried."""

    results: list[T]
    noises: list[Noise]

    @property
    def summary(self) -> str:
        """One line to print above the figures."""
        return f"{len(self.results)} of {len(self.noises)} rounds quiet; median of all: {median_noise(self.noises)}"


def parse_stat(text: str, own_s: float) -> Sample:
    """Read the text of `/proc/stat`."""
    user, nice, system, idle, wait, irq, softirq, stolen = map(int, text.split(maxsplit=9)[1:9])
    busy = user + nice + system + irq + softirq
    ticks = os.sysconf("SC_CLK_TCK")
    return Sample((busy + idle + wait + stolen) / ticks, busy / ticks, stolen / ticks, own_s)


def noise_between(before: Sample, after: Sample) -> Noise:
    """Return what else happened between two samples."""
    total_s = after.total_s - before.total_s
    if total_s <= 0:
        could_not_measure("/proc/stat does not move on this machine: nobody knows what else it does")
    others_s = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
    return Noise(max(0.0, others_s / total_s), (after.stolen_s - before.stolen_s) / total_s)


def median_noise(noises: Sequence[Noise]) -> Noise:
    """Return the medians of both shares."""
    return Noise(statistics.median(n.others for n in noises), statistics.median(n.stolen for n in noises))


def take_sample(more: Iterable[psutil.Process] = ()) -> Sample:
    """Take a sample; this process and all it has started are our own, and `more` of which it is no parent."""
    this = psutil.Process()
    own_s = 0.0
    for process in {this, *this.children(recursive=True), *more}:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            own_s += times.user + times.system + times.children_user + times.children_system
    return parse_stat(Path("/proc/stat").read_text(), own_s)


def could_not_measure(why: str) -> NoReturn:
    """Say in one line why there is no figure, and end with exit code 75."""
    print(f"could not measure: {why}", flush=True)
    raise CouldNotMeasure(os.EX_TEMPFAIL)


def wait_until_quiet(patience_s: float, sample: Callable[[], Sample] = take_sample) -> Noise:
    """Wait until other programs let the processors rest, or the patience is over; return the noise of the last look."""
    deadline_s = time.monotonic() + patience_s
    while True:
        before = sample()
        time.sleep(LISTEN_S)
        noise = noise_between(before, sample())
        if noise.is_quiet or time.monotonic() >= deadline_s:
            return noise


def quiet_rounds(
    measure: Callable[[int], T | None],
    wanted: int,
    patience_s: float,
    *,
    sample: Callable[[], Sample] = take_sample,
    verbose: bool = False,
) -> QuietRounds[T]:
    """Measure rounds until `wanted` of them were quiet; end with 75 if noise leaves fewer than half of that.

    `measure` is given the number of the round and may return None if it had to give up; `verbose` prints all noise.
    Patience is the time that noise may cost, waiting and in rounds that do not count; quiet rounds take what they take.
    """
    results: list[T] = []
    noises: list[Noise] = []
    waits: list[Noise] = []
    noise_s = 0.0
    while len(results) < wanted and noise_s < patience_s:
        begun_s = time.monotonic()
        waits.append(wait_until_quiet(patience_s - noise_s, sample))
        if not waits[-1].is_quiet:
            break
        waited_s = time.monotonic() - begun_s
        before = sample()
        result = measure(len(noises))
        noises.append(noise_between(before, sample()))
        if result is not None and noises[-1].is_quiet:
            results.append(result)
            noise_s += waited_s - LISTEN_S
        else:
            noise_s += time.monotonic() - begun_s
        if verbose:
            print(f"           {noises[-1]}{'' if noises[-1].is_quiet else ' (not counted)'}", flush=True)
    needed = (wanted + 1) // 2
    if len(results) < needed:
        noisy = median_noise([noise for noise in noises if not noise.is_quiet] or waits[-1:])
        could_not_measure(
            f"{len(results)} of {len(noises)} rounds were quiet, {needed} had to be (patience {patience_s:.0f} s); "
            f"in the way: {in_the_way(noisy)}"
        )
    return QuietRounds(results, noises)


@dataclass(frozen=True)
class Rounds:
    """Which way measures how often: quiet rounds, or all of them."""

    wanted: int
    patience_s: float
    is_noisy: bool

    def of(self, measure: Callable[[int], T]) -> tuple[list[T], str]:
        """Measure; return the results, and what to say beside each figure."""
        if not self.is_noisy:
            rounds = quiet_rounds(measure, self.wanted, self.patience_s)
            return rounds.results, rounds.summary
        results, noises = [], []
        for number in range(self.wanted):
            before = take_sample()
            results.append(measure(number))
            noises.append(noise_between(before, take_sample()))
        return results, f"NOT QUIET, {len(results)} rounds: {median_noise(noises)}"


def quiet_once(
    work: Callable[[], T], what: str, patience_s: float, sample: Callable[[], Sample] = take_sample
) -> tuple[T, Noise]:
    """Wait until it is quiet and do what cannot be repeated; end with 75 if it was disturbed."""
    noise = wait_until_quiet(patience_s, sample)
    if noise.is_quiet:
        before = sample()
        result = work()
        noise = noise_between(before, sample())
        if noise.is_quiet:
            return result, noise
    could_not_measure(f"{what} was disturbed; in the way: {in_the_way(noise)}")


def in_the_way(noise: Noise) -> str:
    """Return both shares with the bounds that they should have kept."""
    return (
        f"other programs used {noise.others:.1%} of the processors (at most {OTHERS_AT_MOST:.0%}), "
        f"the hypervisor stole {noise.stolen:.1%} (at most {STOLEN_AT_MOST:.0%})"
    )
