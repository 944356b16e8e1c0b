"""The candidate's figures as the page shows them: named and explained by the task, in its order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import UsageError
from pipeline.evaluation.learning_curves import LEARNING_CURVES
from pipeline.recipe.task import OVERFIT, Metric, Plot, Task, kind_of, overfit_of
from pipeline.records.metrics import ROWS, MetricsReport
from pipeline.report.run_files import RunFiles

_LEARNING_CURVES = Plot(
    LEARNING_CURVES, "Learning curves", "Each figure after each epoch, on the training and the validation part."
)


@dataclass(frozen=True)
class Measured:
    """One figure of both parts; of a figure that is not of one part, `train` is None."""

    title: str
    test: float
    train: float | None
    words: str


@dataclass(frozen=True)
class MeasuredSlice:
    """The figures of one slice, and the first of them as a share of its range, in percent, None without a range."""

    name: str
    rows: float | None
    figures: tuple[float | None, ...]
    share: float | None


@dataclass(frozen=True)
class SliceTable:
    """The slices of a column, the one whose first figure is worst first."""

    column: str
    titles: tuple[str, ...]
    slices: tuple[MeasuredSlice, ...]


@dataclass(frozen=True)
class Quality:
    """Every figure of a report."""

    test_rows: float
    train_rows: float
    figures: tuple[Measured, ...]
    tables: tuple[SliceTable, ...]


def known_kind(name: object) -> type[Task] | None:
    """Return a task by its name; None if there is no such file: what an older or a newer Ratchet made has no words."""
    try:
        return kind_of(name) if isinstance(name, str) else None
    except UsageError:
        return None


def task_of_run(files: RunFiles) -> type[Task] | None:
    """Return the task that a run's metrics are of, or else the one that its recipe names."""
    if files.metrics.value:
        return known_kind(files.metrics.value.task)
    recipe = files.recipe.value or {}
    return known_kind(recipe.get("task.name", recipe.get("task")))


def plots_of(kind: type[Task] | None) -> tuple[Plot, ...]:
    """Return the drawings that the page has words for."""
    return (_LEARNING_CURVES, *(kind.plots if kind else ()))


def primary(report: MetricsReport) -> Measured:
    """Return the primary figure."""
    return _measured(report, report.primary, _by_name(known_kind(report.task)))


def quality(report: MetricsReport) -> Quality:
    """Return every figure of a report: in the task's order, then those that the task does not declare."""
    kind = known_kind(report.task)
    declared = _by_name(kind)
    names = [name for name in declared if name in report.test]
    names += [name for name in report.test if name not in (ROWS, *declared)]
    overfit = Measured(OVERFIT, report.overfit, None, overfit_of(kind.metrics[0]).words if kind else "")
    return Quality(
        test_rows=report.test[ROWS],
        train_rows=report.train[ROWS],
        figures=(*(_measured(report, name, declared) for name in names), overfit),
        tables=tuple(
            _slice_table(column, slices, _metrics_of(slices, kind))
            for column, slices in report.slices.items()
            if slices
        ),
    )


def _metrics_of(slices: Mapping[str, Mapping[str, float]], kind: type[Task] | None) -> tuple[Metric, ...]:
    """Return the metrics of a column's slices: those of the task's own slices, or of declared ones."""
    first = next(iter(slices.values()))
    declared = (kind.slice_metrics, kind.declared_metrics) if kind else ()
    return next((each for each in declared if {metric.name for metric in each} == {*first} - {ROWS}), ())


def _by_name(kind: type[Task] | None) -> dict[str, Metric]:
    return {metric.name: metric for metric in (kind.metrics if kind else ())}


def _measured(report: MetricsReport, name: str, declared: Mapping[str, Metric]) -> Measured:
    metric = declared.get(name)
    title = metric.title if metric else name.replace("_", " ")
    words = "; ".join(filter(None, (metric.words, report.units.get(name, metric.unit)))) if metric else ""
    return Measured(title, report.test[name], report.train[name], words)


def _slice_table(column: str, slices: Mapping[str, Mapping[str, float]], metrics: tuple[Metric, ...]) -> SliceTable:
    first = next(iter(slices.values()))
    shown = metrics or tuple(Metric(name, name.replace("_", " "), "", "higher") for name in first if name != ROWS)
    rows = tuple(
        MeasuredSlice(
            name,
            figures.get(ROWS),
            tuple(figures.get(metric.name) for metric in shown),
            _share(figures.get(shown[0].name), shown[0]) if shown else None,
        )
        for name, figures in slices.items()
    )
    return SliceTable(column, tuple(metric.title for metric in shown), _worst_first(rows, shown))


def _worst_first(slices: tuple[MeasuredSlice, ...], metrics: tuple[Metric, ...]) -> tuple[MeasuredSlice, ...]:
    if not metrics:
        return slices
    sign = 1 if metrics[0].is_higher_better else -1
    return tuple(sorted(slices, key=lambda each: -math.inf if each.figures[0] is None else sign * each.figures[0]))


def _share(value: float | None, metric: Metric) -> float | None:
    span = metric.high - metric.low
    if value is None or not math.isfinite(span):
        return None
    return round(100 * min(max((value - metric.low) / span, 0.0), 1.0), 1)
