"""Not much worse than the champion: the rule of before. It proves no gain, and many small losses add up.

Recipe: `gate: {rule: {name: margin, settings: {margin: 0.02, slice_margin: 0.12}}}`.

The candidate passes if the lower limit of its difference from the champion, by the paired bootstrap of the task's
score, is not below -margin: over all rows, and in every slice. A declared column's rare values together may have too
few rows for that: where an equal model would not pass on them either, they are off, unless it is proven worse on them.
The anchor does not count; docs/gate.md says how often this lets a worse model through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from pipeline.recipe.bounds import Margin, Off, require_in_unit, require_resamples
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import Settings as Base
from pipeline.recipe.task import OTHER, task_of

if TYPE_CHECKING:
    from pipeline.gate.checks import Asked
    from pipeline.gate.comparison import Difference
    from pipeline.gate.matches import Matches, Scored
    from pipeline.recipe.task import Slices, Task
    from pipeline.records.verdict import GateCheck


class Settings(Base):
    """Its settings in the recipe. No default lets a candidate pass: both margins must be given."""

    margin: Margin = Field(description="mean score that may be lost overall at the stated confidence")
    slice_margin: Margin = Field(description="mean score that may be lost in one slice at the stated confidence")
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(default=0.95, description="one-sided confidence")
    resamples: int = Field(default=2000, ge=1, le=100_000, description="bootstrap resamples")

    @model_validator(mode="after")
    def _resamples_reach_the_confidence(self) -> Self:
        require_resamples(self.resamples, self.confidence)
        return self


def check(settings: Settings, recipe: Recipe) -> None:
    """Refuse margins that are no shares of rows where an answer is right or wrong."""
    margins = {"margin": settings.margin, "slice_margin": settings.slice_margin}
    require_in_unit(margins, (), task_of(recipe.task, recipe.data.classes))


def judge(settings: Settings, matches: Matches, task: Task) -> list[GateCheck]:
    """Return the checks `margin`, and `slice.<column>.<value>` of each slice."""
    from pipeline.gate.comparison import compare_slices

    champion = matches.champion
    found = [("margin", task.score_title, settings.margin, _differs(settings, matches, champion))]
    slices = compare_slices(
        matches.slices,
        matches.candidate,
        champion.scores,
        confidence=settings.confidence,
        resamples=settings.resamples,
        seed=matches.seed,
    )
    for column, by_value in slices.items():
        for value, difference in by_value.items():
            title = f"{task.score_title_of(column)} of {value}"
            found.append((f"slice.{column}.{value}", title, settings.slice_margin, difference))
    name = f"champion v{champion.identity.version}"
    checks = [
        _check(check, what, name, margin, difference, settings, _unit(task))
        for check, what, margin, difference in found
    ]
    rare = {f"slice.{column}.{OTHER}": column for column in slices}
    return [
        _of_rare(check, found[number][3], settings, matches, rare[check.name]) if check.name in rare else check
        for number, check in enumerate(checks)
    ]


def asks(settings: Settings, slices: Mapping[str, Slices]) -> dict[str, Asked]:
    """Return the checks of a verdict, each with what it is held to."""
    from pipeline.gate.checks import Asked

    names = [f"slice.{column}.{value}" for column, divided in slices.items() for value in divided.names]
    margins = {"margin": settings.margin, **dict.fromkeys(names, settings.slice_margin)}
    rare = {f"slice.{column}.{OTHER}" for column in slices}
    return {
        name: Asked(margin if isinstance(margin, Off) else -margin, may_be_off=name in rare)
        for name, margin in margins.items()
    }


def proves_better(settings: Settings, matches: Matches) -> bool:
    """Return whether the lower limit of the difference from the anchor is above 0."""
    return _differs(settings, matches, matches.anchor).lower > 0  # not so of a NaN


def shows(settings: Settings, matches: Matches, task: Task) -> str:
    """Return in words how much an equal model may seem to lose on these rows."""
    difference = _differs(settings, matches, matches.champion)
    below = f"{difference.difference - difference.lower:.4f}{_unit(task)}"
    return f"{difference.rows} rows: at {settings.confidence:.0%} confidence, chance alone may take {below}"


def _unit(task: Task) -> str:
    return f" {task.scored_by.unit}" if task.scored_by.unit else ""


def _differs(settings: Settings, matches: Matches, other: Scored) -> Difference:
    from pipeline.gate.comparison import compare

    return compare(
        matches.candidate,
        other.scores,
        confidence=settings.confidence,
        resamples=settings.resamples,
        seed=(matches.seed, 0),
    )


def _of_rare(check: GateCheck, found: Difference, settings: Settings, matches: Matches, column: str) -> GateCheck:
    """Return the check of a column's rare values: off if it fails for want of rows alone.

    An equal model, that differs as much on these rows, has its limit as far below 0 as this one's is below its mean.
    Who is proven worse does not fail for want of rows: the champion's difference from it has a lower limit above 0.
    """
    from pipeline.gate.checks import check_of, off
    from pipeline.gate.comparison import compare
    from pipeline.gate.words import RARE

    margin = settings.slice_margin
    if check.has_passed or isinstance(margin, Off) or found.lower - found.difference >= -margin:
        return check
    rows = matches.of_slice(column, OTHER)
    theirs = compare(
        matches.champion.scores[rows],
        matches.candidate[rows],
        confidence=settings.confidence,
        resamples=settings.resamples,
        seed=(matches.seed, 0),
    )
    if theirs.lower > 0:
        return check_of(check.name, check.figure, check.bound, f"{check.sentence}; it is worse", passes=False)
    return off(check.name, f"{check.sentence}; not judged: {RARE}")


def _check(
    name: str, what: str, champion: str, margin: float | Off, found: Difference, settings: Settings, unit: str = ""
) -> GateCheck:
    from pipeline.gate.checks import check_of, off, rounded

    if isinstance(margin, Off):
        return off(name, margin.none)
    if found.rows == 0:
        return check_of(name, None, -margin, f"{what} cannot be compared with {champion}: no rows", passes=False)
    shown = rounded(found.lower, -margin)
    sentence = (
        f"{what}: {found.difference:+.4f} against {champion} on {found.rows} rows, at worst {shown:+.4f} "
        f"at {settings.confidence:.0%} confidence; {margin:g}{unit} may be lost"
    )
    return check_of(name, shown, -margin, sentence, passes=found.lower >= -margin)
