"""Proven better than the champion, and not worse than the anchor in total and in every slice. The default.

Recipe: `gate: {rule: better}`, or `{rule: {name: better, settings: {error: 0.05, total_margin: 0.01}}}`.

The step: a model that is no better would do as well as this one at most in `error` of cases. Where an answer is right
or wrong, that is McNemar's test on the rows that one of the two alone has right, by the mid-p (Fagerland, Lydersen &
Laake, BMC Medical Research Methodology 13, 2013); otherwise a test on the mean of the differences (`paired_losses`).
All else is as in `refresh`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.gate.rules import refresh
from pipeline.gate.rules.refresh import check, proves_better, shows

if TYPE_CHECKING:
    from pipeline.gate.checks import Asked
    from pipeline.gate.matches import Counted, Matches
    from pipeline.recipe.task import Slices, Task
    from pipeline.records.verdict import GateCheck

__all__ = ["Settings", "asks", "check", "judge", "proves_better", "recount", "shows"]


class Settings(refresh.Settings):
    """Its settings in the recipe: those of `refresh`."""


def judge(settings: Settings, matches: Matches, task: Task) -> list[GateCheck]:
    """Return the checks `step`, `total`, and `slice.<column>.<value>` of each slice."""
    return [_step(settings, matches.counted, task), *refresh.judge(settings, matches, task)]


def asks(settings: Settings, slices: Mapping[str, Slices]) -> dict[str, Asked]:
    """Return the checks of a verdict, each with what it is held to."""
    from pipeline.gate.checks import Asked

    return {"step": Asked(settings.error, is_minimum=False), **refresh.asks(settings, slices)}


def recount(settings: Settings, counted: Counted, task: Task) -> list[GateCheck]:
    """Return the checks that follow from the matches alone: `step` and `total`."""
    return [_step(settings, counted, task), *refresh.recount(settings, counted, task)]


def _step(settings: Settings, counted: Counted, task: Task) -> GateCheck:
    from pipeline.gate.checks import check_of, rounded
    from pipeline.gate.match import chance, is_alike
    from pipeline.gate.words import beside, number, percent

    match = counted.with_champion
    what = f"{task.score_title}: {beside(match, 'champion', counted.champion, task.scored_by.unit)}"
    if is_alike(match):
        alike = f"the two answer alike on these {number(match.rows)} rows"
        return check_of("step", None, settings.error, f"{what}; {alike}", passes=False)
    by_chance = chance(match)
    shown, passes = rounded(by_chance, settings.error), by_chance <= settings.error
    said = "it is better" if passes else "it is not proven better"
    sentence = f"{what}; {said} (by chance in {percent(by_chance)} of cases, at most {percent(settings.error)})"
    return check_of("step", shown, settings.error, sentence, passes=passes)
