"""The gate: evidence in, verdict out. Closed by default.

A candidate is promoted only if every check passes, and a check passes only on a finite figure that is within its bound.
A figure that could not be obtained comes as `Unknown`, with the reason, and fails its check.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.gate.comparison import Difference
from pipeline.gate.evidence import Evidence, Unknown, finite, predictions_problem
from pipeline.recipe.recipe import Bounds, GateParams
from pipeline.recipe.task import Metric, Task, bounded_metrics
from pipeline.records.metrics import MetricsReport
from pipeline.records.verdict import GateCheck, Verdict

_FIGURE_DIGITS = 6
_PARITY_FLOOR = 1e-6  # below the resolution of float32 answers around 1, differences are noise


def judge(evidence: Evidence, rule: GateParams, task: Task) -> Verdict:
    """Check a candidate against every declared threshold, the champion, and its own exported form."""
    checks = (
        _check_predictions(evidence, task),
        *_check_metrics(evidence.metrics, rule, task),
        _check_parity(evidence, rule),
        *_check_champion(evidence, rule, task),
    )
    return Verdict.of(checks, _reason(checks, _primary_check(task)), evidence.candidate, evidence.champion)


def _check(name: str, figure: float | None, bound: float | None, sentence: str, *, passes: bool = False) -> GateCheck:
    return GateCheck(name=name, figure=figure, bound=bound, outcome="pass" if passes else "fail", sentence=sentence)


def _check_predictions(evidence: Evidence, task: Task) -> GateCheck:
    rows = len(evidence.test_ids)
    problem = predictions_problem(evidence, task)
    if problem:
        return _check("predictions", None, rows, problem)
    return _check("predictions", rows, rows, f"{rows} predictions, one for each test row", passes=True)


def _check_metrics(metrics: MetricsReport | Unknown, rule: GateParams, task: Task) -> list[GateCheck]:
    figures = metrics if isinstance(metrics, Unknown) else metrics.test_figures
    checks = _check_bounds(figures, rule, bounded_metrics(type(task)))
    if _primary_check(task) not in (check.name for check in checks):  # a recipe without it is not let through
        checks.insert(0, _check(_primary_check(task), None, None, f"{task.metrics[0].title} is not bounded"))
    of_slices = {metric.name: metric for metric in task.slice_metrics}
    for column, by_value in rule.slices.items():
        for value, bounds in by_value.items():
            of_slice = metrics if isinstance(metrics, Unknown) else metrics.slices.get(column, {}).get(value, {})
            checks += _check_bounds(of_slice, bounds, of_slices, slice_of=(column, value))
    return checks


def _primary_check(task: Task) -> str:
    primary = task.metrics[0]
    return f"{'minimum' if primary.is_higher_better else 'maximum'}.{primary.name}"


def _check_bounds(
    figures: Mapping[str, float] | Unknown,
    bounds: Bounds,
    metrics: Mapping[str, Metric],
    slice_of: tuple[str, str] | None = None,
) -> list[GateCheck]:
    """Check figures against bounds; a check is called as its bound is in the recipe, below `gate`."""
    where = f"slices.{'.'.join(slice_of)}." if slice_of else ""
    of_slice = f" of {slice_of[1]}" if slice_of else ""
    return [
        _check_bound(
            figures, name, bound, where + side, f"{_title(name, metrics)}{of_slice}", is_minimum=side == "minimum"
        )
        for side, given in (("minimum", bounds.minimum), ("maximum", bounds.maximum))
        for name, bound in given.items()
    ]


def _title(name: str, metrics: Mapping[str, Metric]) -> str:
    return metrics[name].title if name in metrics else name


def _check_bound(
    figures: Mapping[str, float] | Unknown, name: str, bound: float, where: str, title: str, *, is_minimum: bool
) -> GateCheck:
    check = f"{where}.{name}"
    if isinstance(figures, Unknown):
        return _check(check, None, bound, f"{title} is not known: {figures.why}")
    value = figures.get(name)
    figure = finite(value)
    if figure is None:
        return _check(
            check, None, bound, f"{title} is {'not in the metrics' if value is None else f'{value}, not a number'}"
        )
    passes = figure >= bound if is_minimum else figure <= bound
    shown = _rounded(figure, bound)
    if passes:
        sentence = f"{title} {shown:g} is {'at least' if is_minimum else 'at most'} {bound:g}"
    else:
        sentence = f"{title} {shown:g} is {'below' if is_minimum else 'above'} {bound:g}"
    return _check(check, shown, bound, sentence, passes=passes)


def _check_parity(evidence: Evidence, rule: GateParams) -> GateCheck:
    bound = rule.parity.tolerance
    served, given = evidence.served, evidence.predictions
    if isinstance(served, Unknown):
        return _check("parity", None, bound, served.why)
    rows = min(rule.parity.rows, len(evidence.test_ids))
    if isinstance(given, Unknown):
        return _check("parity", None, bound, given.why)
    expected = given.answers[:rows]
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


def _check_champion(evidence: Evidence, rule: GateParams, task: Task) -> list[GateCheck]:
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
    slices = {column: set(found.names) for column, found in task.slices(evidence.test_labels).items()}
    if {column: set(found) for column, found in comparison.slices.items()} != slices:
        return [_check("champion", None, -limits.margin, f"{name} was compared on other slices")]
    overall = _check_difference(
        "champion", task.score_title, name, comparison.overall, limits.margin, limits.confidence, "test rows"
    )
    return [
        overall,
        *(
            _check_difference(
                f"champion.{column}.{value}",
                f"{task.slice_score_title} of {value}",
                name,
                difference,
                limits.class_margin,
                limits.confidence,
                f"rows of the {column}",
            )
            for column, found in comparison.slices.items()
            for value, difference in found.items()
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


def _reason(checks: Sequence[GateCheck], primary: str) -> str:
    failed = [check for check in checks if not check.has_passed]
    if failed:
        more = f" (and {len(failed) - 1} more {'check' if len(failed) == 2 else 'checks'} failed)" if failed[1:] else ""
        return failed[0].sentence + more
    by_name = {check.name: check for check in checks}
    return f"{by_name[primary].sentence}; {by_name['champion'].sentence}"


def _rounded(figure: float, bound: float) -> float:
    """Round a figure for people, unless that would move it onto, or over, its bound."""
    rounded = round(figure, _FIGURE_DIGITS)
    is_same_side = (figure < bound, figure > bound) == (rounded < bound, rounded > bound)
    return rounded if is_same_side else figure
