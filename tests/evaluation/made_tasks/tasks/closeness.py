"""Closeness: a row's label is a number; the model answers with one. A task of the tests, in one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import Settings as Base
from pipeline.recipe.task import NOTHING_DECLARED, Declared, Metric, RowValues, check_bounds
from pipeline.recipe.task import Task as BaseTask

if TYPE_CHECKING:
    from pipeline.recipe.task import Answers, Labels, Scores

METRICS = (
    Metric(
        "mean_error",
        "mean error",
        "how far an answer is from the truth",
        "lower",
        low=0,
        unit="steps",
        is_mean=True,
        in_messages=True,
    ),
    Metric("within", "within reach", "share of rows that are close enough", "higher", low=0, high=1, is_share=True),
)


class Settings(Base):
    """Its settings in the recipe."""

    reach: float = Field(default=1.0, gt=0, description="what is close enough")


def check(settings: Settings, recipe: Recipe) -> None:
    check_bounds(Task, {}, recipe.gate)


class Errors(RowValues):
    """How far each answer is from the truth, and whether that is close enough."""

    def __init__(self, errors: Scores, reach: float) -> None:
        self._errors, self._reach = errors, reach

    def of(self, metric: str) -> Scores:
        return self._errors if metric == "mean_error" else (self._errors <= self._reach).astype(float)


class Task(BaseTask):
    """Answers are `[row]`: one number."""

    metrics = METRICS
    score_title = "closeness"
    settings: Settings

    def check_answers(self, labels: Labels, answers: Answers) -> None:
        import numpy as np

        from pipeline.errors import DataError

        if answers.shape != labels.shape or not np.isfinite(answers).all():
            raise DataError("the model does not answer with one finite number for each row")

    def measure(self, labels: Labels, answers: Answers) -> dict[str, float]:
        errors = -self.score(labels, answers)
        return {"mean_error": float(errors.mean()), "within": float((errors <= self.settings.reach).mean())}

    def row_values(self, labels: Labels, answers: Answers, declared: Declared = NOTHING_DECLARED) -> Errors:
        return Errors(-self.score(labels, answers), self.settings.reach)

    def score(self, labels: Labels, answers: Answers) -> Scores:
        import numpy as np

        return -np.abs(answers.astype(np.float64) - labels)
