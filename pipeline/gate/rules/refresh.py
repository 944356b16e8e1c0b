"""Not worse than the anchor, in total and in every slice: for those who want the newest data in use.

Recipe: `gate: {rule: {name: refresh, settings: {total_margin: 0.01, slice_margin: 0.07}}}`. Margins are shares of rows
where an answer is right or wrong; where it is scored by a loss they are in its unit (minutes, nats), and must be given.

The anchor is the champion that was last proven better than the anchor before it. In any `verdicts` verdicts against one
anchor, the chance that one lets a model through that is worse than the anchor by `total_margin` or more is at most
`error`, whatever the verdicts have to do with each other: each errs with a chance of at most error / verdicts. Each
slice is judged at `error`, for all of them must pass (intersection–union, Berger, Technometrics 24(4), 1982).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from pipeline.errors import UsageError
from pipeline.recipe.bounds import Margin, Off, require_in_unit
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import Settings as Base
from pipeline.recipe.task import OTHER, task_of

if TYPE_CHECKING:
    from pipeline.gate.checks import Asked
    from pipeline.gate.match import Match
    from pipeline.gate.matches import Counted, Matches
    from pipeline.recipe.task import Slices, Task
    from pipeline.records.verdict import GateCheck

TOTAL_MARGIN, SLICE_MARGIN = 0.01, 0.07  # shares of rows
Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]


class Settings(Base):
    """Its settings in the recipe. A margin is a share of rows, or in the unit of the score."""

    error: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        default=0.05, description="chance of letting a model through that is worse than a margin allows"
    )
    total_margin: Margin | None = Field(
        default=None,
        description="how much worse than the anchor, in all verdicts together; null: 0.01 of the rows, where an answer "
        "is right or wrong",
    )
    verdicts: int = Field(
        default=365, ge=1, le=1_000_000, description="verdicts against one anchor that share the error"
    )
    slice_margin: Margin | None = Field(
        default=None,
        description="how much worse than the anchor in one slice; null: 0.07 of its rows, where an answer is right or "
        "wrong",
    )
    slice_margins: dict[str, dict[str, Margin]] = Field(
        default_factory=dict, max_length=100, description="margins of slices of their own, by column and value"
    )
    unjudged: dict[str, dict[str, Reason]] = Field(
        default_factory=dict,
        max_length=100,
        description="slices that may have too few rows to be judged, by column and value, each with the reason",
    )

    @model_validator(mode="after")
    def _no_slice_is_off_and_unjudged(self) -> Self:
        for column, by_value in self.unjudged.items():
            for value in by_value:
                if isinstance(self.slice_margins.get(column, {}).get(value), Off):
                    raise ValueError(
                        f"{column} '{value}' is switched off by slice_margins and named under unjudged; "
                        "take it out of one of the two"
                    )
        return self

    @property
    def named_slices(self) -> Mapping[str, Mapping[str, Mapping[str, object]]]:
        """The settings that name slices, by column and value."""
        return {"slice_margins": self.slice_margins, "unjudged": self.unjudged}

    @property
    def of_total(self) -> float | Off:
        """The total margin."""
        return TOTAL_MARGIN if self.total_margin is None else self.total_margin

    def of_slice(self, column: str, value: str) -> float | Off:
        """Return the margin of a slice."""
        every = SLICE_MARGIN if self.slice_margin is None else self.slice_margin
        return self.slice_margins.get(column, {}).get(value, every)

    @property
    def total(self) -> tuple[float, float] | None:
        """The total margin and the score that is needed for it; None if it is switched off."""
        from pipeline.gate.paired import z_at

        margin = self.of_total
        return None if isinstance(margin, Off) else (margin, z_at(self.error / self.verdicts))

    @property
    def fewest_rows(self) -> int:
        """The fewest test rows on which anything that is right or wrong can pass: on fewer, no equal model does."""
        from pipeline.gate.paired import rows_needed

        margin = self.of_total
        return 0 if isinstance(margin, Off) else rows_needed(margin, self.error / self.verdicts)


def check(settings: Settings, recipe: Recipe) -> None:
    """Refuse a task whose scores have no mean that says anything, and margins that are not in the score's unit."""
    task = task_of(recipe.task, recipe.data.classes)
    if not task.scored_by.is_mean:
        raise UsageError(
            f"gate.rule: {recipe.gate.rule.name} compares means over rows, and task {recipe.task.name} is scored by "
            f"{task.scored_by.title}; use gate.rule: {{name: margin, settings: {{margin: …, slice_margin: …}}}}"
        )
    given = {"total_margin": settings.total_margin, "slice_margin": settings.slice_margin}
    margins = {name: margin for name, margin in given.items() if margin is not None}
    of_slices = {
        f"slice_margins.{column}.{value}": margin
        for column, by_value in settings.slice_margins.items()
        for value, margin in by_value.items()
    }
    has_slices = bool(task.own_slices or recipe.data.roles.slices)
    needed = {"total_margin", "slice_margin"} if has_slices else {"total_margin"}
    require_in_unit({**margins, **of_slices}, needed - set(margins), task)


def judge(settings: Settings, matches: Matches, task: Task) -> list[GateCheck]:
    """Return the checks against the anchor: `total`, and `slice.<column>.<value>` of each slice."""
    return [_total(settings, matches.counted, task), *_slices(settings, matches, task)]


def asks(settings: Settings, slices: Mapping[str, Slices]) -> dict[str, Asked]:
    """Return the checks of a verdict, each with what it is held to."""
    from pipeline.gate.checks import Asked
    from pipeline.gate.paired import z_at

    total, z = settings.of_total, z_at(settings.error)
    found = {"total": Asked(total if isinstance(total, Off) else z_at(settings.error / settings.verdicts))}
    for column, divided in slices.items():
        for value in divided.names:
            margin = settings.of_slice(column, value)
            may_be_off = value in settings.unjudged.get(column, {}) or value == OTHER
            found[f"slice.{column}.{value}"] = Asked(margin if isinstance(margin, Off) else z, may_be_off=may_be_off)
    return found


def recount(settings: Settings, counted: Counted, task: Task) -> list[GateCheck]:
    """Return the checks that follow from the matches alone: `total`."""
    return [_total(settings, counted, task)]


def proves_better(settings: Settings, matches: Matches | Counted) -> bool:
    """Return whether a model no better than the anchor would do as well at most in `error` of cases."""
    from pipeline.gate.match import chance

    return chance(matches.with_anchor) <= settings.error


def shows(settings: Settings, matches: Matches, task: Task) -> str:
    """Return in words which gain over the champion these rows would show."""
    from pipeline.gate.words import power

    return power(matches.with_champion, settings.error, settings.total, task.scored_by.unit)


def _total(settings: Settings, counted: Counted, task: Task) -> GateCheck:
    from pipeline.gate.checks import check_of, off
    from pipeline.gate.paired import Counts, z_at
    from pipeline.gate.words import beside, number, points

    match, margin, z = counted.with_anchor, settings.of_total, z_at(settings.error / settings.verdicts)
    if isinstance(margin, Off):
        return off("total", margin.none)
    unit = task.scored_by.unit
    what = f"{task.score_title}: {beside(match, 'anchor', counted.anchor, unit)}"
    if isinstance(match, Counts) and match.rows < settings.fewest_rows:
        fewest = f"on fewer than {number(settings.fewest_rows)} rows nothing passes a total margin of {points(margin)}"
        return check_of("total", None, z, f"{what}; {fewest}", passes=False)
    return _scored("total", what, match, margin, z, unit)


def _slices(settings: Settings, matches: Matches, task: Task) -> Iterator[GateCheck]:
    from pipeline.gate.words import beside

    unit = task.scored_by.unit
    for column, divided in matches.slices.items():
        title = task.score_title_of(column)
        for value in divided.names:
            match = matches.with_anchor_on(column, value)
            what = f"{title} of {value}: {beside(match, 'anchor', matches.anchor.identity, unit)}"
            yield _slice(settings, column, value, match, what, unit)


def _slice(settings: Settings, column: str, value: str, match: Match, what: str, unit: str = "") -> GateCheck:
    """Judge one slice. One that an equal model would not pass in half of the cases is not judged, which refuses.

    Where the recipe lets it go unjudged, it still must not be proven worse: who loses many rows has no power for that.
    So may a declared column's rare values together, if even they have too few rows: nobody can name those before.
    """
    from pipeline.gate.checks import check_of, off
    from pipeline.gate.match import chance_of_worse, has_power, rows_for_power, score
    from pipeline.gate.paired import z_at
    from pipeline.gate.words import RARE, number

    name, z = f"slice.{column}.{value}", z_at(settings.error)
    margin = settings.of_slice(column, value)
    if isinstance(margin, Off):
        return off(name, margin.none)
    has_passed = match.rows > 0 and score(match, margin) >= z
    if has_passed or has_power(match, margin, z):
        return _scored(name, what, match, margin, z, unit)
    enough = rows_for_power(match, margin, z)
    needed = f": needs {number(enough)} rows" if enough is not None else ""
    if match.rows and chance_of_worse(match) <= settings.error:
        return check_of(name, None, z, f"{what}; it is worse", passes=False)
    if reason := settings.unjudged.get(column, {}).get(value, RARE if value == OTHER else None):
        return off(name, f"{what}; not judged{needed}: {reason}")
    return check_of(name, None, z, f"{what}; not judged{needed}", passes=False)


def _scored(name: str, what: str, match: Match, margin: float, z: float, unit: str = "") -> GateCheck:
    from pipeline.gate.checks import check_of, rounded
    from pipeline.gate.match import score
    from pipeline.gate.words import amount

    found = score(match, margin)
    shown, passes = rounded(found, z), found >= z
    said, lost = "it is not" if passes else "it may be", amount(margin, match, unit)
    sentence = f"{what}; {said} worse by {lost} or more (Z {shown:.2f}, needed {z:.2f})".replace("Z -", "Z −")
    return check_of(name, shown, z, sentence, passes=passes)
