"""Classification: a row belongs to one of several classes; the model answers with a probability for each.

Recipe: `task: {name: classification, settings: {calibration_bins: 15}}`. A class is a slice: `gate.slices.class`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import Settings as Base
from pipeline.recipe.task import Metric, Mistakes, Plot, Slices, check_bounds
from pipeline.recipe.task import Task as BaseTask

if TYPE_CHECKING:
    from pipeline.evaluation.classification.row_values import ClassRowValues
    from pipeline.recipe.task import Answers, Labels, Scores

CLASS = "class"  # the column that slices
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


def check(settings: Settings, recipe: Recipe) -> None:  # noqa: ARG001 - as the slots' checks are called
    """Refuse bounds of the gate that no candidate, or every one, would meet by mistake."""
    check_bounds(Task, {CLASS: recipe.data.classes}, recipe.gate)


class Task(BaseTask):
    """Answers are `[row, class]`: probabilities."""

    metrics = METRICS
    slice_metrics = CLASS_METRICS
    plots = PLOTS
    score_title = "accuracy"
    slice_score_title = "recall"  # a row is right or wrong: within a class, the mean is its recall
    settings: Settings

    def check_answers(self, labels: Labels, answers: Answers) -> None:
        """Raise DataError unless each row has a probability for each class, and each class a row."""
        from pipeline.evaluation.classification.metrics import check_answers

        check_answers(labels, answers, self.classes)

    def measure(self, labels: Labels, answers: Answers) -> dict[str, float]:
        """Return the metrics of a part."""
        from pipeline.evaluation.classification.metrics import measure

        return measure(labels, answers, calibration_bins=self.settings.calibration_bins)

    def score(self, labels: Labels, answers: Answers) -> Scores:
        """Return 1 for each row whose class has the highest probability, otherwise 0."""
        from pipeline.evaluation.classification.metrics import is_right

        return is_right(labels, answers)

    def slices(self, labels: Labels) -> dict[str, Slices]:
        """Return the classes."""
        return {CLASS: Slices(self.classes, labels)}

    def measure_slices(self, labels: Labels, answers: Answers) -> dict[str, dict[str, dict[str, float]]]:
        """Return the metrics of each class."""
        from pipeline.evaluation.classification.metrics import measure_classes

        return {CLASS: measure_classes(labels, answers, self.classes)}

    def row_values(self, labels: Labels, answers: Answers) -> ClassRowValues:
        """Return the values of each of `METRICS`, and of `CLASS_METRICS` over the rows they speak of."""
        from pipeline.evaluation.classification.row_values import ClassRowValues

        return ClassRowValues(labels, answers, self.classes, calibration_bins=self.settings.calibration_bins)

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
