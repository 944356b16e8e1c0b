"""Classification: a row belongs to one of several classes; the model answers with a probability for each.

Recipe: `task: {name: classification, settings: {calibration_bins: 15}}`. A class is a slice: `gate.slices.class`.
The gate compares models by the rows that they have right; with `score: log_loss`, by how little probability each gives
to the true classes. Of two classes, a row is taken for the second one from `threshold` on, which may be chosen on the
validation part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from pipeline.errors import UsageError
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import Fraction
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
THRESHOLD = "threshold"
_EVEN, _TWO = 0.5, 2
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
    threshold: Fraction | Literal["validation"] = Field(
        default=0.5,
        description="of two classes, from which probability on a row is taken for the second; validation: the one that "
        "is best on the validation part",
    )
    threshold_by: Literal["f1", "youden"] = Field(
        default="f1",
        description="what is best: F1 of the second class, or J of Youden (true less false positive rate)",
    )


def check(settings: Settings, recipe: Recipe) -> None:
    """Refuse a recipe without classes, and bounds of the gate that no candidate, or every one, would meet."""
    if not recipe.data.classes:
        raise UsageError(
            "task classification: data.classes is empty, which says that the target is a number; name the classes, or "
            "choose task: regression"
        )
    if settings.threshold != _EVEN and len(recipe.data.classes) != _TWO:
        raise UsageError(
            f"task.settings.threshold: tells two classes apart, and data.classes names {len(recipe.data.classes)}; "
            "leave it out: then the most probable class is taken"
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
        given = self.settings.threshold
        self.threshold = _EVEN if isinstance(given, str) else given

    @property
    def learns(self) -> bool:
        """Whether the threshold is chosen on the validation part."""
        return self.settings.threshold == "validation"

    def learn(self, labels: Labels, answers: Answers) -> dict[str, float]:
        """Return the threshold that is best on these rows."""
        from pipeline.evaluation.classification.threshold import choose

        return {THRESHOLD: choose(labels, answers, self.settings.threshold_by)}

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

        bins = self.settings.calibration_bins
        return measure(labels, answers, calibration_bins=bins, threshold=self.threshold)

    def score(self, labels: Labels, answers: Answers) -> Scores:
        """Return whether each row's class has the highest probability, 1 or 0; or the logarithm of its probability."""
        from pipeline.evaluation.classification.metrics import is_right, surprise

        if self.settings.score == "log_loss":
            return -surprise(labels, answers)
        return is_right(labels, answers, self.threshold)

    def slices(self, labels: Labels, declared: Declared = NOTHING_DECLARED) -> dict[str, Slices]:
        """Return the classes, then what is declared."""
        return {CLASS: Slices(self.classes, labels), **declared}

    def measure_slices(
        self, labels: Labels, answers: Answers, declared: Declared = NOTHING_DECLARED
    ) -> dict[str, dict[str, dict[str, float]]]:
        """Return the metrics of each class, then those of each declared slice."""
        from pipeline.evaluation.classification.metrics import measure_classes

        by_class = {CLASS: measure_classes(labels, answers, self.classes, self.threshold)}
        return {**by_class, **super().measure_slices(labels, answers, declared)}

    def measure_some(self, labels: Labels, answers: Answers) -> dict[str, float]:
        """Return accuracy and cross-entropy: rows of a slice need not be of every class."""
        from pipeline.evaluation.classification.metrics import cross_entropy, is_right

        right = is_right(labels, answers, self.threshold)
        return {ACCURACY: float(right.mean()), CROSS_ENTROPY: cross_entropy(labels, answers)}

    def row_values(self, labels: Labels, answers: Answers, declared: Declared = NOTHING_DECLARED) -> ClassRowValues:
        """Return the values of each of `METRICS`, and of those of slices over the rows they speak of."""
        from pipeline.evaluation.classification.row_values import ClassRowValues

        return ClassRowValues(
            labels,
            answers,
            self.classes,
            calibration_bins=self.settings.calibration_bins,
            declared=declared,
            threshold=self.threshold,
        )

    def tables(self, labels: Labels, answers: Answers) -> dict[str, bytes]:
        """Return the confusion of classes, the curves and the calibration."""
        from pipeline.evaluation.classification import plot_data

        bins = self.settings.calibration_bins
        return plot_data.tables(labels, answers, self.classes, calibration_bins=bins, threshold=self.threshold)

    def drawings(self, labels: Labels, answers: Answers) -> dict[str, bytes]:
        """Return the drawing of each of `PLOTS`."""
        from pipeline.evaluation.classification import plots

        bins = self.settings.calibration_bins
        return plots.drawings(labels, answers, self.classes, calibration_bins=bins, threshold=self.threshold)

    def mistakes(self, ids: Sequence[str], labels: Labels, answers: Answers, count: int) -> Mistakes:
        """Return the rows taken for another class with the highest probability, and the commonest confusions."""
        from pipeline.evaluation.classification.mistakes import find

        return find(ids, labels, answers, self.classes, count, self.threshold)
