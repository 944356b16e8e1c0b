"""Not worse than the anchor, in total and in every slice: for those who want the newest data in use.

Recipe: `gate: {rule: {name: refresh, settings: {total_margin: 0.01, slice_margin: 0.07}}}`.

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
from pipeline.recipe.bounds import Margin, Off
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import Settings as Base
from pipeline.recipe.task import kind_of

if TYPE_CHECKING:
    from pipeline.gate.checks import Asked
    from pipeline.gate.matches import Counted, Matches
    from pipeline.gate.paired import Counts
    from pipeline.recipe.task import Slices, Task
    from pipeline.records.verdict import GateCheck

Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]


class Settings(Base):
    """Its settings in the recipe. A margin is a share of rows."""

    error: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        default=0.05, description="chance of letting a model through that is worse than a margin allows"
    )
    total_margin: Margin = Field(default=0.01, description="how much worse than the anchor, in all verdicts together")
    verdicts: int = Field(
        default=365, ge=1, le=1_000_000, description="verdicts against one anchor that share the error"
    )
    slice_margin: Margin = Field(default=0.07, description="how much worse than the anchor in one slice")
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
    def total(self) -> tuple[float, float] | None:
        """The total margin and the score that is needed for it; None if it is switched off."""
        from pipeline.gate.paired import z_at

        return None if isinstance(self.total_margin, Off) else (self.total_margin, z_at(self.error / self.verdicts))

    @property
    def fewest_rows(self) -> int:
        """The fewest test rows on which anything can pass: on fewer, two models that answer alike do not."""
        from pipeline.gate.paired import rows_needed

        return 0 if isinstance(self.total_margin, Off) else rows_needed(self.total_margin, self.error / self.verdicts)


def check(settings: Settings, recipe: Recipe) -> None:  # noqa: ARG001 - as every check is called
    """Refuse a task whose answers are more than right or wrong: counts of won and lost rows would not say enough."""
    primary = kind_of(recipe.task.name).metrics[0]
    if not primary.is_share:
        raise UsageError(
            f"gate.rule: {recipe.gate.rule.name} counts right and wrong answers, and task {recipe.task.name} measures "
            f"{primary.title}; use gate.rule: {{name: margin, settings: {{margin: …, slice_margin: …}}}}"
        )


def judge(settings: Settings, matches: Matches, task: Task) -> list[GateCheck]:
    """Return the checks against the anchor: `total`, and `slice.<column>.<value>` of each slice."""
    return [_total(settings, matches.counted, task), *_slices(settings, matches, task)]


def asks(settings: Settings, slices: Mapping[str, Slices]) -> dict[str, Asked]:
    """Return the checks of a verdict, each with what it is held to."""
    from pipeline.gate.checks import Asked
    from pipeline.gate.paired import z_at

    total, z = settings.total_margin, z_at(settings.error)
    found = {"total": Asked(total if isinstance(total, Off) else z_at(settings.error / settings.verdicts))}
    for column, divided in slices.items():
        for value in divided.names:
            margin = _margin(settings, column, value)
            may_be_off = value in settings.unjudged.get(column, {})
            found[f"slice.{column}.{value}"] = Asked(margin if isinstance(margin, Off) else z, may_be_off=may_be_off)
    return found


def recount(settings: Settings, counted: Counted, task: Task) -> list[GateCheck]:
    """Return the checks that follow from the counts alone: `total`."""
    return [_total(settings, counted, task)]


def proves_better(settings: Settings, matches: Matches | Counted) -> bool:
    """Return whether a model no better than the anchor would win as much at most in `error` of cases (mid-p)."""
    from pipeline.gate.paired import mid_p

    return mid_p(matches.with_anchor) <= settings.error


def shows(settings: Settings, matches: Matches) -> str:
    """Return in words which gain over the champion these rows would show."""
    from pipeline.gate.words import power

    return power(matches.with_champion, settings.error, settings.total)


def _total(settings: Settings, counted: Counted, task: Task) -> GateCheck:
    from pipeline.gate.checks import check_of, off
    from pipeline.gate.paired import z_at
    from pipeline.gate.words import beside, number, points

    if isinstance(settings.total_margin, Off):
        return off("total", settings.total_margin.none)
    counts, margin, z = counted.with_anchor, settings.total_margin, z_at(settings.error / settings.verdicts)
    what = f"{task.score_title}: {beside(counts, 'anchor', counted.anchor)}"
    if counts.rows < settings.fewest_rows:
        fewest = f"on fewer than {number(settings.fewest_rows)} rows nothing passes a total margin of {points(margin)}"
        return check_of("total", None, z, f"{what}; {fewest}", passes=False)
    return _scored("total", what, counts, margin, z)


def _slices(settings: Settings, matches: Matches, task: Task) -> Iterator[GateCheck]:
    from pipeline.gate.paired import count
    from pipeline.gate.words import beside

    for column, divided in matches.slices.items():
        for value in divided.names:
            rows = matches.of_slice(column, value)
            counts = count(matches.candidate[rows], matches.anchor.scores[rows])
            what = f"{task.slice_score_title} of {value}: {beside(counts, 'anchor', matches.anchor.identity)}"
            yield _slice(settings, column, value, counts, what)


def _slice(settings: Settings, column: str, value: str, counts: Counts, what: str) -> GateCheck:
    """Judge one slice. One that an equal model would not pass in half of the cases is not judged, which refuses.

    Where the recipe lets it go unjudged, it still must not be proven worse: who loses many rows has no power for that.
    """
    from pipeline.gate.checks import check_of, off
    from pipeline.gate.paired import Counts, has_power, mid_p, rows_for_power, tango, z_at
    from pipeline.gate.words import number

    name, z = f"slice.{column}.{value}", z_at(settings.error)
    margin = _margin(settings, column, value)
    if isinstance(margin, Off):
        return off(name, margin.none)
    has_passed = counts.rows > 0 and tango(counts.won, counts.lost, counts.rows, margin) >= z
    if has_passed or has_power(counts, margin, z):
        return _scored(name, what, counts, margin, z)
    needed = f": needs {number(rows_for_power(counts, margin, z))} rows" if counts.rows else ""
    if counts.rows and mid_p(Counts(counts.rows, won=counts.lost, lost=counts.won)) <= settings.error:
        return check_of(name, None, z, f"{what}; it is worse", passes=False)
    if reason := settings.unjudged.get(column, {}).get(value):
        return off(name, f"{what}; not judged{needed}: {reason}")
    return check_of(name, None, z, f"{what}; not judged{needed}", passes=False)


def _margin(settings: Settings, column: str, value: str) -> float | Off:
    return settings.slice_margins.get(column, {}).get(value, settings.slice_margin)


def _scored(name: str, what: str, counts: Counts, margin: float, z: float) -> GateCheck:
    from pipeline.gate.checks import check_of, rounded
    from pipeline.gate.paired import tango
    from pipeline.gate.words import points

    score = tango(counts.won, counts.lost, counts.rows, margin)
    shown, passes = rounded(score, z), score >= z
    said = "it is not" if passes else "it may be"
    sentence = f"{what}; {said} worse by {points(margin)} or more (Z {shown:.2f}, needed {z:.2f})".replace("Z -", "Z −")
    return check_of(name, shown, z, sentence, passes=passes)
