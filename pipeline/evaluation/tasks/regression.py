"""Regression: a row's target is a number; the model answers with one, in the same unit.

Recipe: `task: {name: regression, settings: {unit: min}}`, with `data.classes` empty. The gate compares models by the
absolute error of each row, so the margins of its rule are in the unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline.errors import UsageError
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import Settings as Base
from pipeline.recipe.task import NOTHING_DECLARED, Declared, Metric, Mistakes, Plot, check_bounds, declared_columns
from pipeline.recipe.task import Task as BaseTask

if TYPE_CHECKING:
    from pipeline.evaluation.regression.row_values import NumberRowValues
    from pipeline.recipe.task import Answers, Labels, Scores

SQUARED = ("mse",)  # whose unit is the target's squared
IN_UNIT = ("mae", "rmse", "bias")
METRICS: tuple[Metric, ...] = (
    Metric(
        "mae",
        "MAE",
        "mean absolute error: how far a prediction is from the truth; lower is better",
        "lower",
        low=0,
        is_mean=True,
        in_messages=True,
    ),
    Metric(
        "rmse",
        "RMSE",
        "root of the mean squared error, which large errors weigh more in; lower is better",
        "lower",
        low=0,
        in_messages=True,
    ),
    Metric("mse", "MSE", "mean squared error; lower is better", "lower", low=0, is_mean=True),
    Metric(
        "r2",
        "R²",
        "share of the variance of the truth that predictions explain; that of the mean alone is 0",
        "higher",
        high=1,
        in_messages=True,
    ),
    Metric(
        "bias",
        "bias",
        "how far the mean prediction is from the mean of the truth, on either side; lower is better",
        "lower",
        low=0,
    ),
)
DECLARED_METRICS = tuple(metric for metric in METRICS if metric.name in IN_UNIT)
PLOTS = (
    Plot(
        "predicted",
        "Predicted and true",
        "Validation rows by the truth (across) and the prediction (up); on the dotted line the two agree. Of many rows "
        "2 000 are drawn, spread evenly over the truth.",
        place="mistakes",
    ),
    Plot(
        "residuals",
        "Errors by prediction",
        "How far predictions are from the truth, by how large they are: above the dotted line they are too high.",
    ),
    Plot(
        "errors",
        "Errors",
        "How many validation rows have which error. The outer bars hold what lies beyond them, too.",
    ),
)


class Settings(Base):
    """Its settings in the recipe."""

    unit: str = Field(
        default="",
        max_length=40,
        pattern=r"^(\S(.*\S)?)?$",
        description="unit of the target and of the answers, as people read it: min, EUR; blank for a plain number",
    )


def check(settings: Settings, recipe: Recipe) -> None:  # noqa: ARG001 - as the slots' checks are called
    """Refuse a recipe with classes, and bounds of the gate that no candidate, or every one, would meet."""
    if recipe.data.classes:
        raise UsageError(
            f"task regression: data.classes names {len(recipe.data.classes)} classes, but the target is a number; take "
            "them out, or choose task: classification"
        )
    check_bounds(Task, {}, recipe.gate, declared_columns(recipe.data.roles))


class Task(BaseTask):
    """Answers are `[row, 1]`: one number."""

    metrics = METRICS
    declared_metrics = DECLARED_METRICS
    plots = PLOTS
    score_title = "MAE"
    settings: Settings

    def __init__(self, settings: Any, classes: Sequence[str]) -> None:
        super().__init__(settings, classes)
        self.metrics = tuple(_with_unit(metric, self.settings.unit) for metric in METRICS)
        self.declared_metrics = tuple(_with_unit(metric, self.settings.unit) for metric in DECLARED_METRICS)

    def check_answers(self, labels: Labels, answers: Answers) -> None:
        """Raise DataError unless each row has one finite number."""
        from pipeline.evaluation.regression.metrics import check_answers

        check_answers(labels, answers)

    def measure(self, labels: Labels, answers: Answers) -> dict[str, float]:
        """Return the metrics of a part."""
        from pipeline.evaluation.regression.metrics import measure

        return measure(labels, answers)

    def measure_some(self, labels: Labels, answers: Answers) -> dict[str, float]:
        """Return the metrics of a slice's rows."""
        from pipeline.evaluation.regression.metrics import measure_some

        found = measure_some(labels, answers)
        return {metric.name: found[metric.name] for metric in self.declared_metrics}

    def score(self, labels: Labels, answers: Answers) -> Scores:
        """Return the opposite of each row's absolute error."""
        import numpy as np

        from pipeline.evaluation.regression.metrics import errors

        opposite: Scores = -np.abs(errors(labels, answers))
        return opposite

    def row_values(self, labels: Labels, answers: Answers, declared: Declared = NOTHING_DECLARED) -> NumberRowValues:
        """Return the values of each of `METRICS`, of the part and of its slices."""
        from pipeline.evaluation.regression.row_values import NumberRowValues

        return NumberRowValues(labels, answers, declared)

    def tables(self, labels: Labels, answers: Answers) -> dict[str, bytes]:
        """Return predictions and errors of rows, and how many rows have which error."""
        from pipeline.evaluation.regression import plot_data

        return plot_data.tables(labels, answers)

    def drawings(self, labels: Labels, answers: Answers) -> dict[str, bytes]:
        """Return the drawing of each of `PLOTS`."""
        from pipeline.evaluation.regression import plots

        return plots.drawings(labels, answers, self.settings.unit)

    def mistakes(self, ids: Sequence[str], labels: Labels, answers: Answers, count: int) -> Mistakes:
        """Return the rows with the largest errors, and the errors by how large the truth is."""
        from pipeline.evaluation.regression.mistakes import find

        return find(ids, labels, answers, self.settings.unit, count)


def _with_unit(metric: Metric, unit: str) -> Metric:
    if metric.name in IN_UNIT:
        return metric._replace(unit=unit)
    if metric.name in SQUARED and unit:
        return metric._replace(unit=f"({unit})²" if " " in unit else f"{unit}²")
    return metric
