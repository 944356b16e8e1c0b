"""Simulated models and nights: what is drawn is what was asked for, and the rules judge it by the gate's own code."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import gate_simulation as simulation
from benchmarks.gate_simulation import ACCURACY, CLASSES, DISAGREEMENT, Match, Nights, Outcome
from pipeline.gate import paired
from pipeline.gate.matches import Matches, Scored
from pipeline.gate.paired import Counts
from pipeline.recipe.recipe import RULE
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import Slices, task_of
from pipeline.records.identity import Identity


def everybody(champion: Match, anchor: Match) -> Outcome:
    every = np.ones(champion.won.shape[1], np.bool_)
    return Outcome(every, np.zeros_like(every))


class Recorder:
    """A rule that promotes nobody, and keeps the last matches."""

    def __call__(self, champion: Match, anchor: Match) -> Outcome:
        self.champion, self.anchor = champion, anchor
        nobody = np.zeros(champion.won.shape[1], np.bool_)
        return Outcome(nobody, nobody)


@pytest.mark.parametrize("are_rows_kept", [True, False])
def test_equal_models_differ_on_six_rows_of_a_hundred(are_rows_kept: bool) -> None:
    nights, seen = Nights(1000, 500, are_rows_kept, np.random.default_rng(1)), Recorder()
    nights.judge(np.full(CLASSES, ACCURACY), seen)
    won, lost, rows = seen.champion.overall
    assert ((won + lost) / rows).mean() == pytest.approx(DISAGREEMENT, rel=0.02)
    assert (won - lost).mean() / rows == pytest.approx(0, abs=0.0005)
    assert (seen.champion.won == seen.anchor.won).all()  # the champion is the anchor


@pytest.mark.parametrize("are_rows_kept", [True, False])
def test_a_candidate_is_as_much_better_as_it_was_asked_to_be_than_champion_and_anchor(are_rows_kept: bool) -> None:
    nights, seen = Nights(1000, 500, are_rows_kept, np.random.default_rng(1)), Recorder()
    nights.judge(np.full(CLASSES, ACCURACY - 0.03), everybody)
    nights.judge(np.full(CLASSES, ACCURACY + 0.01), seen)
    for match, gain in ((seen.champion, 0.04), (seen.anchor, 0.01)):
        won, lost, rows = match.overall
        assert (won - lost).mean() / rows == pytest.approx(gain, abs=0.001)


def test_kept_rows_are_the_same_every_night() -> None:
    nights = Nights(50, 200, True, np.random.default_rng(1))
    before = nights.kinds.sum(axis=(2, 3))
    nights.judge(np.full(CLASSES, ACCURACY), simulation.refresh)
    assert (nights.kinds.sum(axis=(2, 3)) == before).all()


def test_a_proven_champion_is_the_new_anchor_and_makes_the_same_of_every_row() -> None:
    nights = Nights(50, 1000, True, np.random.default_rng(1))
    assert nights.judge(np.full(CLASSES, ACCURACY + 0.03), simulation.better).all()
    assert nights.is_anchor.all()
    assert nights.kinds[:, :, 0, 1].sum() == nights.kinds[:, :, 1, 0].sum() == 0
    assert nights.anchor == pytest.approx(nights.champion)


def test_the_rules_decide_what_the_gates_own_functions_say_row_by_row() -> None:
    nights, seen = Nights(100, 200, True, np.random.default_rng(3)), Recorder()
    nights.judge(np.full(CLASSES, ACCURACY + 0.02), seen)
    promoted = simulation.better(seen.champion, seen.anchor).promoted
    won, lost, rows = seen.champion.overall
    z, slice_z = paired.z_at(0.05 / 365), paired.z_at(0.05)
    expected = []
    for run in range(100):
        total = Counts(rows, int(won[run]), int(lost[run]))
        classes = [Counts(200, int(seen.anchor.won[k, run]), int(seen.anchor.lost[k, run])) for k in range(CLASSES)]
        expected.append(
            paired.mid_p(total) <= 0.05
            and paired.tango(total.won, total.lost, total.rows, 0.01) >= z
            and all(paired.tango(one.won, one.lost, one.rows, simulation.SLICE_MARGIN) >= slice_z for one in classes)
        )
    assert promoted.tolist() == expected
    assert 0 < sum(expected) < 100


@pytest.mark.parametrize("name", ["better", "refresh", "margin"])
def test_each_rule_decides_what_the_rule_of_that_name_does_row_by_row(name: str) -> None:
    rule, task = RULE.member(name), task_of(Choice(name="classification"), [str(number) for number in range(CLASSES)])
    settings = rule.Settings(**({"margin": 0.02, "slice_margin": 0.12} if name == "margin" else {}))
    nights, seen = Nights(25, 200, True, np.random.default_rng(3)), Recorder()
    nights.judge(np.full(CLASSES, ACCURACY + (-0.01 if name == "margin" else 0.012)), seen)
    expected = []
    for run in range(25):
        candidate, anchor = np.zeros((2, CLASSES, 200))
        for number in range(CLASSES):
            won, lost = seen.anchor.won[number, run], seen.anchor.lost[number, run]
            candidate[number, :won], anchor[number, won : won + lost] = 1, 1
        other = Scored(Identity(name="m", version="1", digest="a" * 64), anchor.ravel())
        slices = {"class": Slices(task.classes, np.repeat(np.arange(CLASSES), 200))}
        checks = rule.judge(settings, Matches(candidate.ravel(), other, other, slices, seed=7), task)
        expected.append(all(check.outcome == "pass" for check in checks))
    assert simulation.RULES[name](seen.champion, seen.anchor).promoted.tolist() == expected
    assert 0 < sum(expected) < 25
