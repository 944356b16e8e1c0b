"""Whether the gate can have given a verdict: what can be told without asking a model.

The recipe and the test rows are those it was given by; every check is there that they ask for, held to the recipe's
bound; and what follows from the two matches (rows won and lost, or the differences' figures) is worked out again by the
rule itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.gate import digests
from pipeline.gate.checks import FIRST, PARAMETERS, Asked
from pipeline.gate.floors import bounds_asked
from pipeline.gate.match import Match
from pipeline.gate.matches import Counted
from pipeline.gate.paired import Counts
from pipeline.gate.paired_losses import Losses
from pipeline.recipe.recipe import RULE, GateParams
from pipeline.recipe.task import Task
from pipeline.records.verdict import GateCheck, Matched, Verdict
from pipeline.storage.declared_slices import Texts, declared_slices

if TYPE_CHECKING:
    import numpy.typing as npt

_SAME = 1e-6  # the digits that a figure is shown with


def require_given(
    verdict: Verdict,
    gate: GateParams,
    task: Task,
    *,
    seed: int,
    code: Mapping[str, str],
    ids: Sequence[str],
    labels: npt.NDArray[Any],
    slices: Texts = MappingProxyType({}),
    parameters: int,
) -> None:
    """Raise DataError unless the gate can have given a verdict by this recipe on these test rows.

    `ids [row]`, `labels [row]`, and the texts `[row]` of declared slices by their column; `code` as in `digests`;
    `parameters` is how many the candidate has.
    Bounds that hold by their limits, and slices, are not measured again: that takes the answers of the models.
    """
    by = digests.rule_digest(gate, task, seed, code)
    problems = chain(_problems(verdict, gate, task, by, ids, labels, slices), _of_parameters(verdict, parameters))
    problem = next(problems, None)
    if problem:
        raise DataError(
            f"the verdict {problem}; it was edited, or what it was given by has changed since: run again, and the "
            "gate judges anew"
        )


def _problems(
    verdict: Verdict,
    gate: GateParams,
    task: Task,
    rule_digest: str,
    ids: Sequence[str],
    labels: npt.NDArray[Any],
    slices: Texts,
) -> Iterator[str]:
    if (verdict.rule, verdict.rule_digest) != (gate.rule.name, rule_digest):
        yield f"was given by another rule, seed, task or code than the recipe's rule {gate.rule.name}"
    if verdict.test_digest != digests.test_digest(ids, labels, slices):
        yield "was given on other rows than those of the test part"
    asked = {
        "predictions": Asked(len(ids)),
        **bounds_asked(gate),
        "parity": Asked(gate.parity.tolerance, is_minimum=False),
    }
    counted = _counted(verdict)
    if counted is not None:
        member, settings = RULE.member(gate.rule.name), RULE.settings(gate.rule, "gate.rule")
        if {counted.with_champion.rows, counted.with_anchor.rows} != {len(ids)}:
            yield f"does not compare all {len(ids)} test rows"
        if counted.champion.digest == counted.anchor.digest and counted.with_champion != counted.with_anchor:
            yield "has two outcomes of the match with the same model"
        if not all(isinstance(each, Counts) == task.scored_by.is_share for each in counted.matches):
            yield f"does not compare models by {task.score_title}"
            return
        asked |= _asked(member, settings, task, labels, slices)
        yield from _of_checks(verdict.checks, asked, is_all=hasattr(member, "asks"))
        if hasattr(member, "recount"):
            again = member.recount(settings, counted, task)
            yield from (f"says of {check.name} what its counts do not say" for check in _others(verdict, again))
            if verdict.moves_anchor != (verdict.promotes and member.proves_better(settings, counted)):
                yield "says of the anchor what its counts do not say"
    elif verdict.champion is None and verdict.anchor is None:
        yield from _of_checks([check for check in verdict.checks if check.name != FIRST], asked, is_all=True)
        if verdict.moves_anchor != verdict.promotes:
            yield "says of a first model that it is not the anchor"
    elif verdict.promotes:
        yield "promotes a candidate that was not compared"


def _of_parameters(verdict: Verdict, parameters: int) -> Iterator[str]:
    if any(check.name == PARAMETERS and check.figure != parameters for check in verdict.checks):
        yield f"does not say how many parameters the candidate has: {parameters}"


def _counted(verdict: Verdict) -> Counted | None:
    met, held = verdict.champion, verdict.anchor
    if met is None or held is None or verdict.against_champion is None or verdict.against_anchor is None:
        return None
    return Counted(met, held, _match(verdict.against_champion), _match(verdict.against_anchor))


def _match(matched: Matched) -> Match:
    rows, won, lost, found = matched.rows, matched.won, matched.lost, matched.differences
    if found is None:
        return Counts(rows, won, lost)
    return Losses(rows, won, lost, found.mean, found.deviation, found.skewness, found.reach)


def _asked(member: Any, settings: Any, task: Task, labels: npt.NDArray[Any], slices: Texts) -> dict[str, Asked]:
    if not hasattr(member, "asks"):
        return {}
    found: dict[str, Asked] = member.asks(settings, task.slices(labels, declared_slices(slices)))
    return found


def _of_checks(checks: Sequence[GateCheck], asked: Mapping[str, Asked], *, is_all: bool) -> Iterator[str]:
    """Yield what contradicts that these are the checks asked for; without `is_all` there may be others."""
    given = {check.name: check for check in checks}
    missing = [name for name in asked if name not in given]
    if missing:
        yield f"has no check {missing[0]}"
    more = [name for name in given if name not in asked]
    if is_all and (more or len(given) != len(checks)):
        yield f"has a check that nobody asks for: {(more or list(given))[0]:.80}"
    for name, each in asked.items():
        if name in given and (problem := each.problem(given[name])):
            yield f"has a check {name} that {problem}"


def _others(verdict: Verdict, again: Iterable[GateCheck]) -> Iterator[GateCheck]:
    """Yield the checks that came out otherwise when they were worked out again."""
    given = {check.name: check for check in verdict.checks}
    for check in again:
        told = given.get(check.name)
        if told is None or told.outcome != check.outcome or not _is_same(told.figure, check.figure):
            yield check


def _is_same(told: float | None, found: float | None) -> bool:
    if told is None or found is None:
        return told is found
    return math.isclose(told, found, rel_tol=_SAME, abs_tol=_SAME)
