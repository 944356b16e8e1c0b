"""What counts as quiet, and what a benchmark does when it was not. The clock moves only while a benchmark listens."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import repeat

import pytest

from benchmarks import quiet
from benchmarks.quiet import Noise, Rounds, Sample, noise_between, parse_stat, quiet_once, quiet_rounds, take_sample

STAT = "cpu  {user} 0 {system} {idle} 0 0 0 {stolen} 0 0\ncpu0 1 0 1 1 0 0 0 0 0 0\nbtime 1795866495\n"
BEFORE = STAT.format(user=1000, system=100, idle=5000, stolen=10)
QUIET, LOUD, ROBBED = Noise(0.01, 0.0), Noise(0.5, 0.0), Noise(0.01, 0.13)


class Clock:
    """Time that passes by sleeping, at once."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "time", Clock())


def samples_of(*noises: Noise, then: Noise) -> Callable[[], Sample]:
    """Give samples whose neighbours, two by two, differ by these noises: one for each wait and one for each round."""

    def give() -> Iterator[Sample]:
        for noise in (*noises, *repeat(then, 100)):
            yield Sample(0.0, 0.0, 0.0, 0.0)
            yield Sample(100.0, 100 * noise.others, 100 * noise.stolen, 0.0)

    return give().__next__


def test_time_of_other_programs_is_busy_time_that_is_not_ours() -> None:
    before = parse_stat(BEFORE, own_s=3.0)
    after = parse_stat(STAT.format(user=1150, system=110, idle=5040, stolen=10), own_s=4.0)  # 2 s, 1.6 s of them busy
    assert noise_between(before, after).others == pytest.approx(0.3)


def test_stolen_time_is_a_share_of_its_own() -> None:
    before = parse_stat(BEFORE, own_s=0.0)
    after = parse_stat(STAT.format(user=1174, system=100, idle=5000, stolen=36), own_s=1.74)
    noise = noise_between(before, after)
    assert noise.stolen == pytest.approx(0.13)
    assert noise.others == pytest.approx(0.0)


def test_a_tick_that_the_kernel_counts_late_is_no_negative_share() -> None:
    after = parse_stat(STAT.format(user=1010, system=100, idle=5090, stolen=10), own_s=0.12)
    assert noise_between(parse_stat(BEFORE, own_s=0.0), after).others == 0


@pytest.mark.parametrize(("noise", "is_quiet"), [(QUIET, True), (LOUD, False), (ROBBED, False)])
def test_quiet_is_when_neither_others_nor_the_hypervisor_took_much(noise: Noise, is_quiet: bool) -> None:
    assert noise.is_quiet is is_quiet


def test_only_quiet_rounds_count() -> None:
    rounds = quiet_rounds(str, 2, 60.0, sample=samples_of(QUIET, QUIET, QUIET, ROBBED, QUIET, LOUD, then=QUIET))
    assert rounds.results == ["0", "3"]
    assert rounds.noises == [QUIET, ROBBED, LOUD, QUIET]


def test_a_round_begins_only_once_it_is_quiet() -> None:
    rounds = quiet_rounds(str, 1, 60.0, sample=samples_of(LOUD, LOUD, then=QUIET))
    assert rounds.noises == [QUIET]


def test_a_round_that_gave_up_does_not_count() -> None:
    rounds = quiet_rounds(lambda number: number or None, 2, 60.0, sample=samples_of(then=QUIET))
    assert rounds.results == [1, 2]


def test_half_of_the_wanted_rounds_is_enough() -> None:
    quiet_three_times = samples_of(*repeat(QUIET, 6), then=LOUD)
    assert quiet_rounds(str, 5, 10.0, sample=quiet_three_times).results == ["0", "1", "2"]


def test_with_fewer_it_says_what_was_in_the_way_and_exits_75(capsys: pytest.CaptureFixture[str]) -> None:
    robbed_in_each_round = samples_of(*[QUIET, ROBBED] * 20, then=QUIET)
    with pytest.raises(SystemExit) as ended:
        quiet_rounds(str, 4, 5.0, sample=robbed_in_each_round)
    assert ended.value.code == os.EX_TEMPFAIL
    assert capsys.readouterr().out == (
        "could not measure: 0 of 10 rounds were quiet, 2 had to be (patience 5 s); in the way: "
        "other programs used 1.0% of the processors (at most 8%), the hypervisor stole 13.0% (at most 2%)\n"
    )


def test_where_it_is_never_quiet_nothing_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        quiet_rounds(pytest.fail, 4, 5.0, sample=samples_of(then=LOUD))
    assert "other programs used 50.0%" in capsys.readouterr().out


def test_who_does_not_wait_for_quiet_has_all_rounds_and_says_so_beside_each_figure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quiet, "take_sample", samples_of(LOUD, ROBBED, then=LOUD))
    results, note = Rounds(3, 60.0, is_noisy=True).of(str)
    assert results == ["0", "1", "2"]
    assert note == "NOT QUIET, 3 rounds: other programs 50.0%, stolen 0.0% of the processors"


def test_what_cannot_be_repeated_is_given_back_when_it_was_undisturbed() -> None:
    assert quiet_once(lambda: 7, "the run", 60.0, samples_of(then=QUIET)) == (7, QUIET)


def test_what_cannot_be_repeated_and_was_disturbed_exits_75(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        quiet_once(lambda: 7, "the run", 60.0, samples_of(QUIET, ROBBED, then=QUIET))
    assert ended.value.code == os.EX_TEMPFAIL
    assert "could not measure: the run was disturbed" in capsys.readouterr().out


def test_what_our_own_children_use_is_ours() -> None:
    before = take_sample()
    work = "import time\nwhile time.process_time() < 0.2: pass"
    subprocess.run([sys.executable, "-c", work], check=True)
    assert take_sample().own_s - before.own_s >= 0.15
