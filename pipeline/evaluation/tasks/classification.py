"""Classification: a row belongs to one of several classes; the model answers with a probability for each.

Recipe: `task: {name: classification, settings: {calibration_bins: 15}}`. A class is a slice: `gate.slices.class`.
The gate compares models by the rows that they have right; with `score: log_loss`, by how little probability each gives
to the true classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from pipeline.errors import UsageError
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import Settings as Base
from pipeline.recipe.task import (
    NOTHING_DECLARED,
    Declared,
    Metric,
    Mistakes,
    Plot,
    Slices,
    check_bounds,
    declared_columns,
)
from pipeline.recipe.task import Task as BaseTask

if TYPE_CHECKING:
    from pipeline.evaluation.classification.row_values import ClassRowValues
    from pipeline.recipe.task import Answers, Labels, Scores

CLASS = "class"  # the column that slices
ACCURACY, CROSS_ENTROPY = "accuracy", "cross_entropy"
MOST_CROSS_ENTROPY = 7 * math.log(10)  # probabilities are clipped at 1e-7
METRICS = (
    Metric(
        "accuracy",
        "accuracy",
        "share of rows classified correctly",
        "higher",
        low=0,
        high=1,
        is_mean=True,
        is_share=True,
        in_messages=True,
    ),
    Metric(
        "macro_precision",
        "macro precision",
        "of the rows predicted as a class, the share that belongs to it; mean of the classes",
        "higher",
        low=0,
        high=1,
    ),
    Metric(
        "macro_recall",
        "macro recall",
        "of a class, the share that is found; mean of the classes",
        "higher",
        low=0,
        high=1,
    ),
    Metric(
        "macro_f1",
        "macro F1",
        "harmonic mean of the two; mean of the classes",
        "higher",
        low=0,
        high=1,
        in_messages=True,
    ),
    Metric(
        "auc",
        "AUC",
        "chance that a row of a class scores above one of another; mean of the classes",
        "higher",
        low=0,
        high=1,
    ),
    Metric("mcc", "MCC", "correlation of predictions with the truth, −1 to 1", "higher", low=-1, high=1),
    Metric(
        "cross_entropy",
        "cross-entropy",
        "how little probability the true class is given; lower is better",
        "lower",
        low=0,
        high=MOST_CROSS_ENTROPY,
        unit="nats a row",
        is_mean=True,
        in_messages=True,
    ),
    Metric(
        "calibration_error",
        "calibration error",
        "mean gap between confidence and accuracy; lower is better",
        "lower",
        low=0,
        high=1,
        in_messages=True,
    ),
)
CLASS_METRICS = (
    Metric("recall", "recall", "share of its rows that is found", "higher", low=0, high=1, is_mean=True, is_share=True),
    Metric(
        "precision",
        "precision",
        "share of the rows predicted as it that is right",
        "higher",
        low=0,
        high=1,
        is_share=True,
    ),
    Metric("f1", "F1", "harmonic mean of the two", "higher", low=0, high=1),
    Metric("auc", "AUC", "chance that one of its rows scores above another", "higher", low=0, high=1),
)
DECLARED_METRICS = tuple(metric for metric in METRICS if metric.name in (ACCURACY, CROSS_ENTROPY))
PLOTS = (
    Plot(
        "confusion",
        "Confusion matrix",
        "Validation rows of each true class (down) by the class they were taken for (across). Blue is right, orange "
        "wrong; the stronger, the larger the share of the true class.",
        place="mistakes",
    ),
    Plot(
        "calibration",
        "Calibration",
        "How often the model is right at each level of confidence, on the validation part. On the dotted line the two "
        "agree; the area of a dot is its share of the rows.",
    ),
    Plot(
        "roc",
        "ROC",
        "Each class against the rest, on the validation part. The three classes furthest from the corner have names.",
    ),
    Plot(
        "precision_recall",
        "Precision and recall",
        "Each class against the rest, on the validation part. The three classes furthest from the corner have names.",
    ),
)


class Settings(Base):
    """Its settings in the recipe."""

    calibration_bins: int = Field(default=15, ge=2, le=1000, description="bins of the expected calibration error")
    score: Literal["right", "log_loss"] = Field(
        default="right",
        description="by what the gate compares two models, row by row: right or wrong; or the cross-entropy of the "
        "answer, in nats",
    )


def check(settings: Settings, recipe: Recipe) -> None:  # noqa: ARG001 - as the slots' checks are called
    """Refuse a recipe without classes, and bounds of the gate that no candidate, or every one, would meet."""
    if not recipe.data.classes:
        raise UsageError(
            "task classification: data.classes is empty, which says that the target is a number; name the classes, or "
            "choose task: regression"
        )
    check_bounds(Task, {CLASS: recipe.data.classes}, recipe.gate, declared_columns(recipe.data.roles))


class Task(BaseTask):
    """Answers are `[row, class]`: probabilities."""

    metrics = METRICS
    slice_metrics = CLASS_METRICS
    declared_metrics = DECLARED_METRICS
    plots = PLOTS
    score_title = "accuracy"
    slice_score_title = "recall"  # a row is right or wrong: within a class, the mean is its recall
    settings: Settings

    def __init__(self, settings: Any, classes: Sequence[str]) -> None:
        super().__init__(settings, classes)
        if self.settings.score == "log_loss":
            self.score_title = self.slice_score_title = self.scored_by.title

    @property
    def scored_by(self) -> Metric:
        """Accuracy, or cross-entropy, as the recipe says."""
        name = ACCURACY if self.settings.score == "right" else CROSS_ENTROPY
        return next(metric for metric in METRICS if metric.name == name)

    @property
    def own_slices(self) -> tuple[str, ...]:
        """The classes."""
        return (CLASS,)

    def check_answers(self, labels: Labels, answers: Answers) -> None:
        """Raise DataError unless each row has a probability for each class, and each class a row."""
        from pipeline.evaluation.classification.metrics import check_answers

        check_answers(labels, answers, self.classes)

    def measure(self, labels: Labels, answers: Answers) -> dict[str, float]:
        """Return the metrics of a part."""
        from pipeline.evaluation.classification.metrics import measure

        return measure(labels, answers, calibration_bins=self.settings.calibration_bins)

    def score(self, labels: Labels, answers: Answers) -> Scores:
        """Return whether each row's class has the highest probability, 1 or 0; or the logarithm of its probability."""
        from pipeline.evaluation.classification.metrics import is_right, surprise

        if self.settings.score == "log_loss":
            return -surprise(labels, answers)
        return is_right(labels, answers)

    def slices(self, labels: Labels, declared: Declared = NOTHING_DECLARED) -> dict[str, Slices]:
        """Return the classes, then what is declared."""
        return {CLASS: Slices(self.classes, labels), **declared}

    def measure_slices(
        self, labels: Labels, answers: Answers, declared: Declared = NOTHING_DECLARED
    ) -> dict[str, dict[str, dict[str, float]]]:
        """Return the metrics of each class, then those of each declared slice."""
        from pipeline.evaluation.classification.metrics import measure_classes

        by_class = {CLASS: measure_classes(labels, answers, self.classes)}
        return {**by_class, **super().measure_slices(labels, answers, declared)}

    def measure_some(self, labels: Labels, answers: Answers) -> dict[str, float]:
        """Return accuracy and cross-entropy: rows of a slice need not be of every class."""
        from pipeline.evaluation.classification.metrics import cross_entropy, is_right

        right = is_right(labels, answers)
        return {ACCURACY: float(right.mean()), CROSS_ENTROPY: cross_entropy(labels, answers)}

    def row_values(self, labels: Labels, answers: Answers, declared: Declared = NOTHING_DECLARED) -> ClassRowValues:
        """Return the values of each of `METRICS`, and of those of slices over the rows they speak of."""
        from pipeline.evaluation.classification.row_values import ClassRowValues

        bins = self.settings.calibration_bins
        return ClassRowValues(labels, answers, self.classes, calibration_bins=bins, declared=declared)

    def tables(self, labels: Labels, answers: Answers) -> dict[str, bytes]:
        """Return the confusion of classes, the curves and the calibration."""
        from pipeline.evaluation.classification import plot_data

        return plot_data.tables(labels, answers, self.classes, calibration_bins=self.settings.calibration_bins)

    def drawings(self, labels: Labels, answers: Answers) -> dict[str, bytes]:
        """Return the drawing of each of `PLOTS`."""
        from pipeline.evaluation.classification import plots

        return plots.drawings(labels, answers, self.classes, calibration_bins=self.settings.calibration_bins)

    def mistakes(self, ids: Sequence[str], labels: Labels, answers: Answers, count: int) -> Mistakes:
        """Return the rows taken for another class with the highest probability, and the commonest confusions."""
        from pipeline.evaluation.classification.mistakes import find

        return find(ids, labels, answers, self.classes, count)
