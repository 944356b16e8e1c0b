"""`reports/golden.json`: what the data phase makes of raw values, held against what the model makes of them."""

from __future__ import annotations

from typing import ClassVar

from pipeline.records.record import Record


class GoldenFeature(Record):
    """One feature: the `largest_difference` of any prepared number, and the first raw values, as the model takes them.

    The difference is rounded up to a power of ten. Of whole numbers it is 0.
    """

    name: str
    kind: str
    largest_difference: float
    raw: tuple[float | str | None, ...] = ()


class GoldenRows(Record):
    """The first test `rows`, by feature: of those whose values are prepared by what was learned."""

    VERSION: ClassVar[int] = 1
    rows: int
    tolerance: float
    features: tuple[GoldenFeature, ...] = ()
