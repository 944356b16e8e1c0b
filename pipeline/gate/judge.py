"""The gate: evidence in, verdict out. Closed by default.

A candidate is promoted only if every check passes, and a check passes only on a finite figure that is within its bound.
A figure that could not be obtained comes as `Unknown`, with the reason, and fails its check.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pipeline.gate.comparison import Difference
from pipeline.gate.evidence import Evidence, Unknown, finite, predictions_problem
from pipeline.recipe.recipe import GateParams
from pipeline.records.metrics import MetricsReport
from pipeline.records.verdict import GateCheck, Verdict

_FIGURE_DIGITS = 6
_PARITY_FLOOR = 1e-6  # below the resolution of float32 probabilities, differences are noise


def judge(evidence: Evidence, rule: GateParams, classes: Sequence[str]) -> Verdict:
    """Check a candidate against every declared threshold, the champion, and its own exported form."""
    checks = (
        _check_predictions(evidence, len(classes)),
        *_check_metrics(evidence.metrics, rule),
        _check_parity(evidence, rule),
        *_check_champion(evidence, rule, classes),
    )
    return Verdict.of(checks, _reason(checks), evidence.candidate, evidence.champion)


def _check(name: str, figure: float | None, bound: float | None, sentence: str, *, passes: bool = False) -> GateCheck:
    return GateCheck(name=name, figure=figure, bound=bound, outcome="pass" if passes else "fail", sentence=sentence)


def _check_predictions(evidence: Evidence, classes: int) -> GateCheck:
    rows = len(evidence.test_ids)
    problem = predictions_problem(evidence, classes)
    if problem:
        return _check("predictions", None, rows, problem)
    return _check("predictions", rows, rows, f"{rows} predictions, one for each test row", passes=True)


def _check_metrics(metrics: MetricsReport | Unknown, rule: GateParams) -> list[GateCheck]:
    return [
        _check_bound(metrics, name, bound, is_minimum=is_minimum)
        for bounds, is_minimum in ((rule.minimum, True), (rule.maximum, False))
        for name, bound in bounds.model_dump().items()
        if bound is not None
    ]


def _check_bound(metrics: MetricsReport | Unknown, name: str, bound: float, *, is_minimum: bool) -> GateCheck:
    check = f"{'minimum' if is_minimum else 'maximum'}.{name}"
    word = name.replace("_", " ")
    if isinstance(metrics, Unknown):
        return _check(check, None, bound, f"{word} is not known: {metrics.why}")
    value = metrics.test_figures.get(name)
    figure = finite(value)
    if figure is None:
        return _check(
            check, None, bound, f"{word} is {'not in the metrics' if value is None else f'{value}, not a number'}"
        )
    passes = figure >= bound if is_minimum else figure <= bound
    shown = _rounded(figure, bound)
    if passes:
        sentence = f"{word} {shown:g} is {'at least' if is_minimum else 'at most'} {bound:g}"
    else:
        sentence = f"{word} {shown:g} is {'below' if is_minimum else 'above'} {bound:g}"
    return _check(check, shown, bound, sentence, passes=passes)


def _check_parity(evidence: Evidence, rule: GateParams) -> GateCheck:
    bound = rule.parity.tolerance
    served, answers = evidence.served, evidence.predictions
    if isinstance(served, Unknown):
        return _check("parity", None, bound, served.why)
    rows = min(rule.parity.rows, len(evidence.test_ids))
    if isinstance(answers, Unknown):
        return _check("parity", None, bound, answers.why)
    expected = answers.probabilities[:rows]
    if rows == 0 or served.shape != expected.shape:
        why = f"the exported model answers {list(served.shape)} for {rows} rows, training answered "
        return _check("parity", None, bound, why + f"{list(expected.shape)}")
    gap = float(np.max(np.abs(served.astype(np.float64) - expected)))
    if not math.isfinite(gap):
        return _check("parity", None, bound, "the exported model answers numbers that are not finite")
    # Rounded up to a power of ten: the last bits may differ between machines, the verdict's bytes should not.
    shown = _PARITY_FLOOR if gap <= _PARITY_FLOOR else float(f"{10.0 ** math.ceil(math.log10(gap)):.0e}")
    what = f"the exported model, loaded in a fresh process, answers {rows} rows"
    if gap <= bound:
        return _check("parity", min(shown, bound), bound, f"{what} as the trained one did", passes=True)
    return _check("parity", shown, bound, f"{what} differently from the trained one, by more than {bound:g}")


def _check_champion(evidence: Evidence, rule: GateParams, classes: Sequence[str]) -> list[GateCheck]:
    champion, comparison, limits = evidence.champion, evidence.comparison, rule.champion
    if champion is None:
        if comparison is None:
            return [_check("champion", None, None, "first model: there is no champion to compare with", passes=True)]
        return [_check("champion", None, None, "compared with a champion that is not named")]
    name = f"champion v{champion.version}"
    if comparison is None or isinstance(comparison, Unknown):
        why = comparison.why if comparison else "it was not compared"
        sentence = (
            f"{name} cannot be compared with: {why}; to replace it anyway, promote the candidate by hand: "
            f'`ratchet registry promote {champion.name} VERSION --reason "…"`'
        )
        return [_check("champion", None, -limits.margin, sentence)]
    if len(comparison.recalls) != len(classes):
        return [_check("champion", None, -limits.margin, f"{name} was compared on other classes")]
    overall = _check_difference(
        "champion", "accuracy", name, comparison.accuracy, limits.margin, limits.confidence, "test rows"
    )
    return [
        overall,
        *(
            _check_difference(
                f"champion.recall.{label}",
                f"recall of {label}",
                name,
                difference,
                limits.class_margin,
                limits.confidence,
                "rows of the class",
            )
            for label, difference in zip(classes, comparison.recalls, strict=True)
        ),
    ]


def _check_difference(
    check: str, what: str, champion: str, found: Difference, margin: float, confidence: float, rows: str
) -> GateCheck:
    lower, difference = finite(found.lower), finite(found.difference)
    if lower is None or difference is None or found.rows == 0:
        return _check(check, None, -margin, f"{what} cannot be compared with {champion}: no {rows}")
    passes = lower >= -margin
    shown = _rounded(lower, -margin)
    sentence = (
        f"{what}: {difference:+.4f} against {champion} on {found.rows} {rows}, at worst {shown:+.4f} "
        f"at {confidence:.0%} confidence; {margin:g} may be lost"
    )
    return _check(check, shown, -margin, sentence, passes=passes)


def _reason(checks: Sequence[GateCheck]) -> str:
    failed = [check for check in checks if not check.has_passed]
    if failed:
        more = f" (and {len(failed) - 1} more {'check' if len(failed) == 2 else 'checks'} failed)" if failed[1:] else ""
        return failed[0].sentence + more
    by_name = {check.name: check for check in checks}
    champion = by_name["champion"].sentence
    return f"{by_name['minimum.accuracy'].sentence}; {champion}"


def _rounded(figure: float, bound: float) -> float:
    """Round a figure for people, unless that would move it onto, or over, its bound."""
    rounded = round(figure, _FIGURE_DIGITS)
    is_same_side = (figure < bound, figure > bound) == (rounded < bound, rounded > bound)
    return rounded if is_same_side else figure
