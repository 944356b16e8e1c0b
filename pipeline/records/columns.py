"""`reports/columns.json`: what the training part holds of each column, for people: how it is spread, what is commonest.

A kind of feature says it by its verb `summary`. Any kind may say either: the page draws what there is.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Self

from pydantic import Field, model_validator

from pipeline.records.record import Record


class Histogram(Record):
    """Rows by bins: bin n is from `edges` n, inclusive, to n + 1, exclusive. Of values beyond, there are counts."""

    edges: tuple[float, ...] = Field(min_length=2, max_length=1001)
    rows: tuple[int, ...]
    below: int = 0
    above: int = 0

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if len(self.edges) != len(self.rows) + 1 or any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError("rising edges are needed, one more than there are bins")
        return self


class Distribution(Record):
    """How numbers are spread: `of` what they are, in words. Where all are the same there is no histogram."""

    of: str
    unit: str = ""
    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    maximum: float
    mean: float
    histogram: Histogram | None = None


class CountedText(Record):
    """A text, perhaps its beginning alone, and the rows that have it."""

    text: str
    rows: int


class Commonest(Record):
    """The commonest of `distinct` texts, `of` what they are in words, and the rows of all `others`.

    A row of text holds many terms: then there are no rows of others.
    """

    of: str
    distinct: int
    top: tuple[CountedText, ...] = ()
    others: int | None = None


class ColumnSummary(Record):
    """One feature in the training part, before any row is left out: `rows`, and those that are `missing`, or empty."""

    name: str
    kind: str
    rows: int
    missing: int
    missing_word: str = "missing"
    distribution: Distribution | None = None
    commonest: Commonest | None = None


class Columns(Record):
    """The features of the recipe that say something, in its order; and the `target`, if that is a number."""

    VERSION: ClassVar[int] = 1
    target: Distribution | None = None
    columns: tuple[ColumnSummary, ...] = ()
