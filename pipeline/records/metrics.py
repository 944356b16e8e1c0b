"""`reports/metrics.json`: how good the candidate's predictions are."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from pipeline.records.record import Record

ROWS = "rows"
_LARGEST = 2**53  # up to here a whole number is the same as a float
Figures = dict[str, float | Annotated[int, Field(ge=-_LARGEST, le=_LARGEST)]]


class MetricsReport(Record):
    """The task's metrics of both parts by name, each with its `rows`, and those of the test part's slices.

    `slices` are by the column that divides the rows, by its value, and by name. `overfit` is how far the `primary`
    metric is worse on the test part than on the training part. `without_near_duplicates` are the metrics of the test
    rows that look like no training row; None if it is not known which those are, or nothing can be said about them.
    `units` are those of metrics that have one, by name; `learned` is what the task has learned from the validation part
    to measure by. Record version 1 knew classification alone, version 2 no near-duplicates, version 3 neither units nor
    what is learned.
    """

    VERSION: ClassVar[int] = 4
    task: str
    primary: str
    test: Figures
    train: Figures
    overfit: float
    slices: dict[str, dict[str, Figures]]
    without_near_duplicates: Figures | None = None
    units: dict[str, str] = Field(default_factory=dict)
    learned: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _parts_have_the_same_metrics(self) -> Self:
        for part, figures in (("test", self.test), ("train", self.train)):
            for name in (ROWS, self.primary, *self.test, *self.train):
                if name not in figures:
                    raise ValueError(f"{part}.{name}: is missing")
        return self

    @property
    def test_figures(self) -> Figures:
        """The metrics that the gate bounds, by name: those of the test part, the primary one first, and `overfit`."""
        return {self.primary: self.test[self.primary], **self.test, "overfit": self.overfit}

    @property
    def primary_figure(self) -> float:
        """The primary metric of the test part."""
        return self.test[self.primary]

    @classmethod
    def upgraded(cls, values: dict[str, Any], version: int) -> dict[str, Any]:
        """Read record versions 1 to 3."""
        if version > 1:
            return values
        classes = values.pop("classes", None)
        return {"task": "classification", "primary": "accuracy", **values, "slices": {"class": classes}}
