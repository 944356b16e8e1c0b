"""Models and nights that never were, to see how often a rule of the gate errs: what is true of a model is known here.

A row has a class and one of a few levels of hardness; a model has it right with a chance that hangs on the level and on
how good the model is (probit: `Φ(skill − spread · hardness)`), independently of other models. So two models share the
hard rows and differ on some by chance: on 6 % exactly one of two equal ones is right, at an accuracy of 90 %.

What is simulated are not rows one by one but how many there are of each kind (class, level, whether the champion and
the anchor have it right), which is the same thing: given the kind, each new model is binomial on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from pipeline.gate import paired
from pipeline.gate.comparison import compare

Shares = npt.NDArray[np.float64]
Kinds = npt.NDArray[np.int64]  # [class, level, champion is right, anchor is right, run]
Booleans = npt.NDArray[np.bool_]

CLASSES = 10
ACCURACY = 0.9
DISAGREEMENT = 0.06
TOTAL_MARGIN, SLICE_MARGIN, ERROR, VERDICTS = 0.01, 0.07, 0.05, 365
OLD_MARGIN, OLD_SLICE_MARGIN = 0.02, 0.12
LEVEL_SHARES = np.array([0.6, 0.2, 0.1, 0.1])  # of the rows, from easy to hard
HARDNESS: Shares = ndtri(np.cumsum(LEVEL_SHARES) - LEVEL_SHARES / 2)


class Match(NamedTuple):
    """The rows that only the candidate, and only the other, has right: `[class, run]`, of `rows` in each class."""

    won: Kinds
    lost: Kinds
    rows: int

    @property
    def overall(self) -> Match:
        """The same over all classes, `[run]`."""
        return Match(self.won.sum(axis=0), self.lost.sum(axis=0), self.rows * self.won.shape[0])


class Outcome(NamedTuple):
    """Whom a rule promotes, and whose promotion moves the anchor, `[run]`."""

    promoted: Booleans
    moves_anchor: Booleans


Rule = Callable[[Match, Match], Outcome]


def better(champion: Match, anchor: Match, slice_margin: float = SLICE_MARGIN) -> Outcome:
    """Step, total and slices."""
    step = paired.mid_p_of(*champion.overall[:2]) <= ERROR
    return _with_anchor(step & _total(anchor) & _slices(anchor, slice_margin), anchor)


def refresh(champion: Match, anchor: Match) -> Outcome:  # noqa: ARG001 - as the others are called
    """The same without the step."""
    return _with_anchor(_total(anchor) & _slices(anchor, SLICE_MARGIN), anchor)


def step_and_total(champion: Match, anchor: Match) -> Outcome:
    """`better` without its slices, to see what these cost."""
    step = paired.mid_p_of(*champion.overall[:2]) <= ERROR
    return _with_anchor(step & _total(anchor), anchor)


def margin(champion: Match, anchor: Match) -> Outcome:  # noqa: ARG001 - as the others are called
    """The rule before: the bootstrap's lower limit is at most a margin below the champion; there is no anchor."""
    worst = np.minimum(_old_limit(champion.overall) + OLD_MARGIN, _old_limit(champion).min(axis=0) + OLD_SLICE_MARGIN)
    promoted: Booleans = np.greater_equal(worst, 0)
    return Outcome(promoted, np.zeros_like(promoted))


RULES: dict[str, Rule] = {"better": better, "refresh": refresh, "margin": margin}


def _with_anchor(promoted: Booleans, anchor: Match) -> Outcome:
    return Outcome(promoted, promoted & (paired.mid_p_of(*anchor.overall[:2]) <= ERROR))


def _total(anchor: Match) -> Booleans:
    won, lost, rows = anchor.overall
    passed: Booleans = _score(won, lost, rows, TOTAL_MARGIN) >= paired.z_at(ERROR / VERDICTS)
    return passed


def _slices(anchor: Match, margin: float) -> Booleans:
    """Every class passes."""
    least = _score(anchor.won, anchor.lost, anchor.rows, margin).min(axis=0)
    passed: Booleans = np.greater_equal(least, paired.z_at(ERROR))
    return passed


def _score(won: Any, lost: Any, rows: int, margin: float) -> Shares:
    return paired.tango(won.astype(np.float64), lost.astype(np.float64), rows, margin)


@cache
def old_limit_of(won: int, lost: int, rows: int) -> float:
    """Return the bootstrap's lower limit of the difference, by the function that judged before."""
    candidate, champion = np.zeros(rows), np.zeros(rows)
    candidate[:won], champion[won : won + lost] = 1, 1
    return compare(candidate, champion, confidence=0.95, resamples=2000, seed=(won, lost)).lower


def _old_limit(match: Match) -> Shares:
    """The limit of each pair of numbers once."""
    pairs, place = np.unique(np.stack([match.won.ravel(), match.lost.ravel()]), axis=1, return_inverse=True)
    limits = np.array([old_limit_of(int(won), int(lost), match.rows) for won, lost in pairs.T])
    return limits[place.ravel()].reshape(match.won.shape)


def _spread_of(disagreement: float) -> float:
    """How much hardness counts for two equal models at 90 % to differ on so many rows."""

    def surplus(spread: float) -> float:
        right = ndtr(_skill(ACCURACY, spread) - spread * HARDNESS)
        return float((2 * right * (1 - right)) @ LEVEL_SHARES - disagreement)

    return float(brentq(surplus, 0.0, 40.0))


def _skill(accuracy: float, spread: float) -> float:
    return float(brentq(lambda skill: ndtr(skill - spread * HARDNESS) @ LEVEL_SHARES - accuracy, -99.0, 99.0))


SPREAD = _spread_of(DISAGREEMENT)
_SKILLS: Shares = np.linspace(-20, 20, 4001)
_ACCURACIES: Shares = ndtr(_SKILLS[:, None] - SPREAD * HARDNESS) @ LEVEL_SHARES


def chances(accuracy: Shares) -> Shares:
    """Return the chance of having a row right by its level, `[class, level, …]`, for true accuracies `[class, …]`."""
    known = np.clip(accuracy, 1e-9, 1 - 1e-9)
    skill = np.expand_dims(np.interp(known, _ACCURACIES, _SKILLS), 1)
    found: Shares = ndtr(skill - _along_levels(SPREAD * HARDNESS, skill.ndim))
    return found


@dataclass
class Nights:
    """Many runs of nights side by side: who is champion and anchor, how good they truly are, and the test rows."""

    runs: int
    rows: int  # test rows in each class
    are_rows_kept: bool
    generator: np.random.Generator
    champion: Shares = field(init=False)  # true accuracy [class, run]
    anchor: Shares = field(init=False)
    is_anchor: Booleans = field(init=False)  # [run]: the champion is the anchor
    kinds: Kinds = field(init=False)

    def __post_init__(self) -> None:
        self.champion = np.full((CLASSES, self.runs), ACCURACY)
        self.anchor = self.champion.copy()
        self.is_anchor = np.ones(self.runs, np.bool_)
        of_level = self.generator.multinomial(self.rows, LEVEL_SHARES, size=(CLASSES, self.runs)).swapaxes(1, 2)
        right = self.generator.binomial(of_level, chances(self.champion))
        self.kinds = _on_diagonal(of_level - right, right)

    def judge(self, accuracy: Shares, rule: Rule) -> Booleans:
        """Judge a candidate of true accuracy `[class]`, the same in every run; return who was promoted, `[run]`."""
        chance = chances(accuracy)[:, :, None, None, None]
        if not self.are_rows_kept:
            self.kinds, chance = self._new_rows(chance)
        right = self.generator.binomial(self.kinds, chance)
        wrong = self.kinds - right
        champion = Match(right[:, :, 0].sum(axis=(1, 2)), wrong[:, :, 1].sum(axis=(1, 2)), self.rows)
        anchor = Match(right[:, :, :, 0].sum(axis=(1, 2)), wrong[:, :, :, 1].sum(axis=(1, 2)), self.rows)
        promoted, moves = rule(champion, anchor)
        if promoted.any():
            by_new = np.stack([wrong.sum(axis=2), right.sum(axis=2)], axis=2)  # its own are champion's now
            by_itself = _on_diagonal(by_new[:, :, 0].sum(axis=2), by_new[:, :, 1].sum(axis=2))
            self.kinds = np.where(promoted, np.where(moves, by_itself, by_new), self.kinds)
            self.champion = np.where(promoted, accuracy[:, None], self.champion)
            self.anchor = np.where(moves, accuracy[:, None], self.anchor)
            self.is_anchor = np.where(promoted, moves, self.is_anchor)
        return promoted

    def _new_rows(self, chance: Shares) -> tuple[Kinds, Shares]:
        """Draw new test rows, their levels summed up; return them, and a candidate's chance on each kind."""
        champion, anchor = chances(self.champion), chances(self.anchor)
        both = np.stack([1 - champion, champion], 2)[:, :, :, None] * np.stack([1 - anchor, anchor], 2)[:, :, None]
        both = np.where(self.is_anchor, _on_diagonal(1 - champion, champion), both)
        both *= _along_levels(LEVEL_SHARES, both.ndim)
        of_kind = both.sum(axis=1, keepdims=True)
        found = (both * chance).sum(axis=1, keepdims=True)
        by_run = np.moveaxis(of_kind.reshape(CLASSES, 4, self.runs), 1, 2)
        kinds = np.moveaxis(self.generator.multinomial(self.rows, by_run), 2, 1).reshape(of_kind.shape)
        return kinds, np.divide(found, of_kind, out=np.zeros_like(found), where=of_kind > 0).clip(0, 1)


def _on_diagonal(wrong: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the kinds where champion and anchor are one model, from `[class, level, run]` it has wrong and right."""
    none = np.zeros_like(wrong)
    return np.stack([np.stack([wrong, none], axis=2), np.stack([none, right], axis=2)], axis=2)


def _along_levels(values: Shares, dimensions: int) -> Shares:
    return values.reshape(1, -1, *[1] * (dimensions - 2))
