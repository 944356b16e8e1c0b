"""Whether each metric holds its bound, at the gate's confidence: for a first model as for any other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.gate.checks import PARAMETERS, Asked, check_of, off, rounded
from pipeline.gate.evidence import Unknown
from pipeline.gate.figures import Figures
from pipeline.gate.intervals import Limits, Values, of_mean, of_share
from pipeline.recipe.bounds import Off
from pipeline.recipe.recipe import Bounds, GateParams
from pipeline.recipe.task import OVERFIT, Metric, Task, overfit_of
from pipeline.records.verdict import GateCheck


@dataclass(frozen=True)
class Held:
    """A figure, and the limits between which it lies at the gate's confidence on either side."""

    value: float
    limits: Limits


Find = Callable[[str], Held | Unknown]


def check_bounds(figures: Figures | Unknown, rule: GateParams, task: Task, seed: int) -> list[GateCheck]:
    """Return a check for each bound, called as the bound is in the recipe below `gate`."""
    metrics = {metric.name: metric for metric in (*task.metrics, overfit_of(task.metrics[0]))}

    def of_test(name: str) -> Held | Unknown:
        if isinstance(figures, Unknown):
            return figures
        if name == OVERFIT:
            return _overfit(figures, rule, seed)
        return _held(figures.test.get(name), partial(figures.by_row.of, name), metrics.get(name), rule, seed)

    checks = list(_checks(rule, metrics, of_test, rule.confidence))
    if primary_check(task) not in (check.name for check in checks):  # a recipe without it is not let through
        unbounded = f"{task.metrics[0].title} is not bounded"
        checks.insert(0, check_of(primary_check(task), None, None, unbounded, passes=False))

    def of_slice(column: str, value: str, name: str) -> Held | Unknown:
        if isinstance(figures, Unknown):
            return figures
        figure = figures.slices.get(column, {}).get(value, {}).get(name)
        by_row = partial(figures.by_row.of_slice, column, value, name)
        return _held(figure, by_row, _by_name(task, column).get(name), rule, seed)

    for column, by_value in rule.slices.items():
        for value, bounds in by_value.items():
            find, where = partial(of_slice, column, value), f"slices.{column}.{value}."
            checks += _checks(bounds, _by_name(task, column), find, rule.confidence, where, f" of {value}")
    return checks


def bounds_asked(rule: GateParams) -> dict[str, Asked]:
    """Return what the check of each bound is held to, by its name."""
    of_slices = {
        f"slices.{column}.{value}.": bounds
        for column, by_value in rule.slices.items()
        for value, bounds in by_value.items()
    }
    most = rule.parameters.maximum
    return {
        **({} if most is None else {PARAMETERS: Asked(most, is_minimum=False)}),
        **{
            f"{below}{side}.{name}": Asked(bound, is_minimum=side == "minimum")
            for below, bounds in {"": rule, **of_slices}.items()
            for side, given in (("minimum", bounds.minimum), ("maximum", bounds.maximum))
            for name, bound in given.items()
        },
    }


def _by_name(task: Task, column: str) -> dict[str, Metric]:
    return {metric.name: metric for metric in task.metrics_of(column)}


def primary_check(task: Task) -> str:
    """Return the name of the check without which nothing is let through."""
    primary = task.metrics[0]
    return f"{'minimum' if primary.is_higher_better else 'maximum'}.{primary.name}"


def _held(
    figure: float | None, by_row: Callable[[], Values | None], metric: Metric | None, rule: GateParams, seed: int
) -> Held | Unknown:
    if figure is None or metric is None:
        return Unknown("nobody measures it")
    if not math.isfinite(figure):
        return Unknown(f"it is {figure}, not a number")
    rows = by_row()
    if rows is None:
        return Unknown("the task gives no values of it by row, so it has no limits")
    if metric.is_share:
        return Held(figure, of_share(int(np.count_nonzero(rows)), len(rows), rule.confidence))
    try:
        limits = of_mean(rows, rule.confidence, rule.resamples, (seed,), metric.low, metric.high)
    except ValueError as error:
        return Unknown(str(error))
    return Held(figure, limits)


def _overfit(figures: Figures, rule: GateParams, seed: int) -> Held | Unknown:
    """Return the overfit: what the model does on the training rows is known, what it does on others has limits."""
    primary = figures.primary
    by_row = partial(figures.by_row.of, primary.name)
    test = _held(figures.test.get(primary.name), by_row, primary, rule, seed)
    if isinstance(test, Unknown):
        return test
    train = figures.train[primary.name]
    low, high = test.limits.low, test.limits.high
    bounds = (train - high, train - low) if primary.is_higher_better else (low - train, high - train)
    return Held(figures.overfit, Limits(*bounds, how=test.limits.how))


def _checks(
    bounds: Bounds, metrics: Mapping[str, Metric], find: Find, confidence: float, below: str = "", of_slice: str = ""
) -> Iterator[GateCheck]:
    for side, given in (("minimum", bounds.minimum), ("maximum", bounds.maximum)):
        for name, bound in given.items():
            check, title = f"{below}{side}.{name}", f"{metrics[name].title if name in metrics else name}{of_slice}"
            if isinstance(bound, Off):
                yield off(check, bound.none)
                continue
            found = find(name)
            if isinstance(found, Unknown):
                yield check_of(check, None, bound, f"{title} is not known: {found.why}", passes=False)
            else:
                unit = metrics[name].unit if name in metrics else ""
                yield _check(check, title, found, bound, confidence, unit, is_minimum=side == "minimum")


def _check(
    name: str, title: str, found: Held, bound: float, confidence: float, unit: str = "", *, is_minimum: bool
) -> GateCheck:
    limit = found.limits.low if is_minimum else found.limits.high
    if math.isnan(limit):
        return check_of(name, None, bound, f"{title} has no limit ({found.limits.how})", passes=False)
    passes, holds = _is_within(limit, bound, is_minimum), _is_within(found.value, bound, is_minimum)
    figure, worst = rounded(found.value, bound), rounded(limit, bound)
    shown = f"{title} {figure:g} {unit}".rstrip()
    at = f"at {100 * confidence:.6g} % confidence ({found.limits.how})"
    within, beyond = ("at least", "below") if is_minimum else ("at most", "above")
    if passes:
        sentence = f"{shown} is {within} {bound:g}, {worst:g} at worst {at}"
    elif holds:
        sentence = f"{shown} may be {worst:g} {at}, {beyond} {bound:g}"
    else:
        sentence = f"{shown} is {beyond} {bound:g}"
    return check_of(name, worst if math.isfinite(worst) else None, bound, sentence, passes=passes)


def _is_within(figure: float, bound: float, is_minimum: bool) -> bool:
    return figure >= bound if is_minimum else figure <= bound
