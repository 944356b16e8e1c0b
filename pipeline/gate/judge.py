"""The gate: evidence in, verdict out. Closed by default.

A candidate is promoted only if every check passes, and a check passes only on a finite figure that is within its bound.
A figure that could not be obtained comes as `Unknown`, with the reason, and fails its check.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.gate import digests
from pipeline.gate.checks import FIRST, PARAMETERS, check_of
from pipeline.gate.evidence import Evidence, Other, Unknown, answers_problem, predictions_problem
from pipeline.gate.figures import Figures, measure, metrics_problem
from pipeline.gate.floors import check_bounds, primary_check
from pipeline.gate.match import Match
from pipeline.gate.matches import Matches, Scored
from pipeline.gate.paired_losses import Losses
from pipeline.gate.renewal import in_words, renewal_of
from pipeline.gate.words import number
from pipeline.recipe.recipe import RULE, GateParams
from pipeline.recipe.task import Task
from pipeline.records.verdict import Differences, GateCheck, Matched, Verdict

_PROMOTE = "ratchet registry promote"
_RESTORE = "back from a backup"
_PARITY_FLOOR = 1e-6  # below the resolution of float32 answers around 1, differences are noise


def judge(evidence: Evidence, rule: GateParams, task: Task, seed: int, code: Mapping[str, str]) -> Verdict:
    """Check a candidate against its bounds, its own exported form, the champion and the anchor.

    `code` has the digests of the code that judges: see `digests`.
    """
    member, settings = RULE.member(rule.rule.name), RULE.settings(rule.rule, "gate.rule")
    learned = _learned(evidence, task)
    if not isinstance(learned, Unknown):
        task = task.with_learned(learned)
    figures = learned if isinstance(learned, Unknown) else _figures(evidence, task)
    matches, compared = _meet(evidence, figures, task, seed)
    if matches is not None:
        compared = member.judge(settings, matches, task)
    checks = (
        _check_predictions(evidence, figures, task),
        *check_bounds(figures, rule, task, seed),
        *_check_parameters(evidence, rule),
        _check_parity(evidence, rule, task),
        *compared,
    )
    renewal = renewal_of(matches.champion, evidence.test_ids, rule, task, seed) if matches else None
    return Verdict.of(
        checks,
        _reason(checks, primary_check(task), compared[0]),
        evidence.candidate,
        evidence.champion.identity if evidence.champion else None,
        anchor=evidence.anchor.identity if evidence.anchor else None,
        rule=rule.rule.name,
        rule_digest=digests.rule_digest(rule, task, seed, code),
        test_digest=digests.test_digest(evidence.test_ids, evidence.test_labels, evidence.test_slices),
        against_champion=_matched(matches.with_champion) if matches else None,
        against_anchor=_matched(matches.with_anchor) if matches else None,
        # The first champion is the first anchor.
        is_better=matches is None or member.proves_better(settings, matches),
        shows=member.shows(settings, matches, task) if matches else "",
        renewal=renewal,
        over_use=in_words(renewal, matches.champion) if matches else "",
    )


def _learned(evidence: Evidence, task: Task) -> dict[str, float] | Unknown:
    """Return what the task learns from the candidate's answers to the validation part."""
    if not task.learns:
        return {}
    given = evidence.validation
    if given is None or isinstance(given, Unknown):
        return given or Unknown("there are no predictions of the validation part to learn from")
    if problem := answers_problem(given, task):
        return Unknown(f"validation part: {problem}")
    return task.learn(given.labels, given.answers)


def _figures(evidence: Evidence, task: Task) -> Figures | Unknown:
    test, train = evidence.predictions, evidence.train
    if isinstance(test, Unknown):
        return test
    if problem := predictions_problem(test, evidence, task):
        return Unknown(problem)
    if isinstance(train, Unknown):
        return train
    if problem := answers_problem(train, task):
        return Unknown(f"training part: {problem}")
    return measure(test, train, task)


def _meet(
    evidence: Evidence, figures: Figures | Unknown, task: Task, seed: int
) -> tuple[Matches | None, list[GateCheck]]:
    """Return the candidate beside the champion and the anchor; without it, the checks that say why."""
    given = evidence.predictions
    if evidence.champion is None and evidence.anchor is None:
        return None, [check_of(FIRST, None, None, "first model: there never was a champion", passes=True)]
    met, held_to = _scored("champion", evidence.champion, evidence), _scored("anchor", evidence.anchor, evidence)
    problems = [each for each in (met, held_to) if isinstance(each, GateCheck)]
    if isinstance(figures, Unknown) or isinstance(given, Unknown):
        problems.append(_closed("champion", "the candidate cannot be compared: its predictions cannot be measured"))
    elif not (isinstance(met, GateCheck) or isinstance(held_to, GateCheck)):
        candidate = task.score(given.labels, given.answers)
        slices = task.slices(evidence.test_labels, evidence.declared)
        if np.isfinite(candidate).all():
            return Matches(candidate, met, held_to, slices, seed, task.scored_by.is_share), []
        problems.append(_closed("champion", "the candidate cannot be compared: some of its scores are not finite"))
    return None, problems


def _scored(role: str, other: Other | None, evidence: Evidence) -> Scored | GateCheck:
    """Return a model with its scores; or the check that refuses, and says what to do."""
    if other is None:
        return _closed(
            role, f"the {role} is not known, and a candidate is the first only if there never was a champion"
        )
    identity, scores = other.identity, other.scores
    name = f"{role} v{identity.version}" if identity else f"the {role}"
    if identity is None or isinstance(scores, Unknown):
        why = scores.why if isinstance(scores, Unknown) else "nobody knows which model it was"
        return _closed(role, f"{name} cannot be compared with: {why}{_way_out(role, evidence, why)}")
    if role == "champion" and identity.digest == evidence.candidate:
        return _closed(role, f"the candidate is {name} itself: there is nothing to decide")
    if scores.shape != evidence.test_labels.shape or not np.isfinite(scores).all():
        return _closed(role, f"{name} cannot be compared with: its scores are not one finite number for each row")
    return Scored(identity, scores, other.judged_by)


def _way_out(role: str, evidence: Evidence, why: str) -> str:
    """Return what a person can do, unless the reason says it."""
    if _PROMOTE in why or _RESTORE in why:
        return ""
    if role == "champion":
        return f'; to replace it anyway, promote the version that this run registers: `{_PROMOTE} VERSION --reason "…"`'
    champion = evidence.champion.identity if evidence.champion else None
    version = champion.version if champion else "VERSION"
    return f'; to be held to the champion instead: `{_PROMOTE} {version} --anchor --reason "…"`'


def _closed(name: str, why: str) -> GateCheck:
    return check_of(name, None, None, why, passes=False)


def _check_predictions(evidence: Evidence, figures: Figures | Unknown, task: Task) -> GateCheck:
    rows = len(evidence.test_ids)
    problem = figures.why if isinstance(figures, Unknown) else metrics_problem(evidence.metrics, figures, task)
    if problem:
        return check_of("predictions", None, rows, problem, passes=False)
    sentence = f"{number(rows)} predictions, one for each test row, and the metrics are theirs"
    return check_of("predictions", rows, rows, sentence, passes=True)


def _check_parameters(evidence: Evidence, rule: GateParams) -> list[GateCheck]:
    """Return the check of how many parameters the candidate has; none if the recipe does not bound them."""
    bound, found = rule.parameters.maximum, evidence.parameters
    if bound is None:
        return []
    passes = found <= bound
    sentence = f"{number(found)} parameters are {'at most' if passes else 'above'} {number(bound)}"
    return [check_of(PARAMETERS, found, bound, sentence, passes=passes)]


def _check_parity(evidence: Evidence, rule: GateParams, task: Task) -> GateCheck:
    bound = rule.parity.tolerance
    served, given = evidence.served, evidence.predictions
    unknown = next((each.why for each in (served, given) if isinstance(each, Unknown)), None)
    if unknown or isinstance(served, Unknown) or isinstance(given, Unknown):
        return check_of("parity", None, bound, unknown or "", passes=False)
    rows = len(evidence.test_ids[: rule.parity.rows])
    expected = given.answers[:rows]
    if rows == 0 or served.shape != expected.shape:
        why = f"the exported model answers {list(served.shape)} for {rows} rows, training answered "
        return check_of("parity", None, bound, why + f"{list(expected.shape)}", passes=False)
    gap = float(np.max(np.abs(served.astype(np.float64) - expected)))
    if not task.classes:  # whatever the unit: in deviations of the answers, of which float32 keeps seven digits
        size = given.answers.astype(np.float64)
        gap /= max(float(size.std()), float(np.abs(size).max()) / 100) or 1.0
    if not math.isfinite(gap):
        return check_of("parity", None, bound, "the exported model answers numbers that are not finite", passes=False)
    # Rounded up to a power of ten: the last bits may differ between machines, the verdict's bytes should not.
    shown = _PARITY_FLOOR if gap <= _PARITY_FLOOR else float(f"{10.0 ** math.ceil(math.log10(gap)):.0e}")
    what = f"the exported model, loaded in a fresh process, answers {number(rows)} rows"
    if gap <= bound:
        return check_of("parity", min(shown, bound), bound, f"{what} as the trained one did", passes=True)
    of_what = "" if task.classes else " standard deviations of its answers"
    differs = f"{what} differently from the trained one, by more than {bound:g}{of_what}"
    return check_of("parity", shown, bound, differs, passes=False)


def _matched(match: Match) -> Matched:
    differences = None
    if isinstance(match, Losses):
        differences = Differences(
            mean=match.mean, deviation=match.deviation, skewness=match.skewness, reach=match.reach
        )
    return Matched(rows=match.rows, won=match.won, lost=match.lost, differences=differences)


def _reason(checks: Sequence[GateCheck], primary: str, compared: GateCheck) -> str:
    failed = [check for check in checks if not check.has_passed]
    if failed:
        more = f" (and {len(failed) - 1} more {'check' if len(failed) == 2 else 'checks'} failed)" if failed[1:] else ""
        return failed[0].sentence + more
    of_primary = next(check for check in checks if check.name == primary)
    said = f"{of_primary.sentence} (not checked)" if of_primary.outcome == "off" else of_primary.sentence
    return f"{said}; {compared.sentence}"
