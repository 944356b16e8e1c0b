"""Numbers: from text to a float32 that is filled, kept within bounds and scaled by what the training part says.

Recipe: `data: {features: {hour: {kind: number, settings: {column: sched_dep_hour, missing: median, scale: robust}}}}`.

A source delivers the text of a column as it stands there, null where it says that a value is missing. What is a number
is said by `data/number_texts.py`. Clean rows hold float64, null if missing; equal are texts of the same float64: `1.0`,
`+1` and `001`. What is learned, and in which order it is applied, is said by `data/number_scaling.py`.

Outliers that are dropped are dropped from the training part only: a served model must answer every row, and it is
judged by rows as it will be asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from pipeline.data.feature_kinds import Examined
    from pipeline.data.value_counts import ValueCounts
    from pipeline.records.feature import FeatureSpec
    from pipeline.storage.shards import Columns

MISSING = "missing value"
NOT_A_NUMBER = "not a number"
OUT_OF_RANGE = "number out of range"
REASONS = (MISSING, NOT_A_NUMBER, OUT_OF_RANGE)
OUTLIER = "outlier"
_LIMIT = 1e30


class Outliers(Base):
    """Which values are outliers, and what becomes of them."""

    method: Literal["zscore", "iqr"] = Field(
        description="zscore: further from the mean than `bound` standard deviations; iqr: further below the first, or "
        "above the third quartile than `bound` times their distance"
    )
    bound: float = Field(gt=0, le=1e6, description="how far is too far: 3 is usual with zscore, 1.5 with iqr")
    action: Literal["drop", "clip", "flag"] = Field(
        description="drop: its training row is left out; clip: it becomes the bound; flag: a component more is 1 there"
    )


class Settings(Base):
    """Its settings in the recipe."""

    column: str | None = Field(default=None, min_length=1, max_length=1000, description="null: the feature's name")
    missing: Literal["reject", "mean", "median", "mode", "constant"] = Field(
        default="reject",
        description="what becomes of a row without a value: it is rejected, or gets a figure of the training part, or "
        "`fill`",
    )
    fill: float | None = Field(default=None, ge=-_LIMIT, le=_LIMIT, description="the constant for a missing value")
    indicator: bool = Field(default=False, description="a component more is 1 where the value is missing")
    outliers: Outliers | None = Field(default=None, description="null: every value stays as it is")
    scale: Literal["standard", "minmax", "robust", "log", "none"] = Field(
        default="standard",
        description="standard: mean 0, deviation 1; minmax: 0 to 1; robust: by median and quartiles; log: of the "
        "distance to the least value, then standard; none: as it is",
    )
    decimal: Literal[".", ","] = Field(default=".", description="what stands before a fraction")
    low: float | None = Field(default=None, ge=-_LIMIT, le=_LIMIT, description="least value allowed; null: any")
    high: float | None = Field(default=None, ge=-_LIMIT, le=_LIMIT, description="greatest value allowed; null: any")
    unit: str = Field(default="", max_length=40, description="unit, for people")

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if self.missing == "constant" and self.fill is None:
            raise ValueError("missing: constant needs `fill`, the number that a missing value becomes")
        if self.missing != "constant" and self.fill is not None:
            raise ValueError(f"fill is for missing: constant; with missing: {self.missing} it must be null")
        if self.missing == "reject" and self.indicator:
            raise ValueError("indicator must be false with missing: reject, which leaves no value missing")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low must be below high, {self.low:g} is not below {self.high:g}")
        return self


def raw_columns(name: str) -> dict[str, str]:
    """Return the column that a source delivers: the text, null if the value is missing."""
    return {name: "string"}


def clean_columns(spec: FeatureSpec) -> dict[str, pa.DataType]:
    """Return the column of numbers, null if missing."""
    import pyarrow as pa

    return {spec.name: pa.float64()}


def facts(name: str) -> dict[str, str]:
    """Return what stands beside a prepared value: its first component, the scaled number."""
    return {f"{name}_scaled": "float32"}


def shape(settings: Settings) -> tuple[int, ...]:
    """Return the number of components: the scaled value, whether it was missing, whether it is an outlier."""
    is_flagged = settings.outliers is not None and settings.outliers.action == "flag"
    return (1 + settings.indicator + is_flagged,)


def spec(name: str, settings: Settings) -> FeatureSpec:
    """Return the feature as it is prepared, not fitted yet."""
    from pipeline.records.feature import FeatureSpec

    complete = settings.model_dump(mode="json")
    return FeatureSpec(
        name=name, kind="number", dtype="float32", shape=shape(settings), settings=complete, facts=facts(name)
    )


def working_bytes(spec: FeatureSpec) -> int:
    """Return the bytes of a clean number, or of a prepared one."""
    return max(8, spec.size_bytes)


def raw_digests(spec: FeatureSpec, rows: pa.Table) -> pa.ChunkedArray:
    """Return each raw text after `=`, and nothing for a null, `[row]`."""
    import pyarrow.compute as pc

    return pc.binary_join_element_wise("=", rows[spec.name], "").fill_null("")


def examine(spec: FeatureSpec, rows: pa.Table, digests: Sequence[str]) -> Examined:  # noqa: ARG001 - as kinds are asked
    """Return why each text is no usable number, which number it is, and the numbers."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from pipeline.data.column_refusals import Refusals
    from pipeline.data.feature_kinds import Examined
    from pipeline.data.number_scaling import is_beyond
    from pipeline.data.number_texts import read_numbers

    settings, texts = spec.settings, rows[spec.name]
    coded = texts.combine_chunks().dictionary_encode("encode")  # most columns have fewer distinct texts than rows
    distinct, at = read_numbers(coded.dictionary, settings["decimal"]), coded.indices.to_numpy()
    read = distinct.at(at)
    found = Refusals.none(rows.num_rows)
    if settings["missing"] == "reject":
        nothing = f"nothing in column {settings['column'] or spec.name}"
        found.add(read.is_blank, MISSING, texts, lambda _: nothing)
    found.add(~read.is_number & ~read.is_blank, NOT_A_NUMBER, texts)
    allowed = " to ".join(
        f"{limit if end is None else end:g}" for end, limit in ((settings["low"], -_LIMIT), (settings["high"], _LIMIT))
    )
    found.add(is_beyond(settings, read.values), OUT_OF_RANGE, texts, lambda text: f"{text} is not in {allowed}")
    values = pa.array(read.values, mask=~np.isfinite(read.values))
    # The bits that IEEE 754 gives a number, as text: no library's way to write numbers may change a digest.
    bits = pa.array(distinct.values.view(np.int64), mask=np.isnan(distinct.values)).cast(pa.string())
    held = pc.binary_join_element_wise("=", bits, "").fill_null("").take(coded.indices)
    return Examined(found.reasons, found.details, held, {spec.name: values})


def learn(spec: FeatureSpec, rows: pa.Table) -> ValueCounts:
    """Return the distinct numbers of clean training rows, and how often each comes."""
    from pipeline.data.value_counts import counted

    return counted(rows[spec.name])


def joined(spec: FeatureSpec, partials: Sequence[ValueCounts]) -> ValueCounts:  # noqa: ARG001 - as kinds are asked
    """Return the distinct numbers of several pieces, and how often each comes."""
    import pyarrow as pa

    from pipeline.data.value_counts import added

    return added(partials, pa.float64())


def fit(spec: FeatureSpec, partials: Sequence[ValueCounts]) -> dict[str, Any]:
    """Return what fills, bounds and scales: `fill`, `lower`, `upper`, `least`, `centre`, `spread`.

    Raises DataError if the training part has no number, or if its quartiles cannot tell outliers.
    """
    import pyarrow as pa

    from pipeline.data.number_scaling import learned
    from pipeline.data.value_counts import added

    counts = added(partials, pa.float64())
    return learned(spec.name, spec.settings, counts.values.to_numpy(), counts.counts, counts.missing)


def summary(spec: FeatureSpec, partials: Sequence[ValueCounts]) -> dict[str, Any]:
    """Return how the numbers of the training part are spread."""
    import pyarrow as pa

    from pipeline.data.column_summaries import of_numbers
    from pipeline.data.value_counts import added

    counts = added(partials, pa.float64())
    return of_numbers(counts.values.to_numpy(), counts.counts, counts.missing, spec.settings["unit"])


def left_out(spec: FeatureSpec, rows: pa.Table, part: str) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    """Return which training rows are left out as outliers, where these are dropped, and the bounds."""
    import numpy as np

    from pipeline.data.column_refusals import Refusals
    from pipeline.data.number_scaling import outliers_of

    found = Refusals.none(rows.num_rows)
    outliers = spec.settings["outliers"]
    if part == "train" and outliers and outliers["action"] == "drop":
        fitted = spec.fitted or {}
        bounds = f"is not in {fitted['lower']:g} to {fitted['upper']:g}"
        is_out = outliers_of(fitted, _values(spec, rows))
        found.add(np.asarray(is_out), OUTLIER, rows[spec.name], lambda value: f"{value} {bounds}")
    return found.reasons, found.details


def prepare(spec: FeatureSpec, rows: pa.Table) -> npt.NDArray[np.float32]:
    """Return the scaled numbers of clean rows, and what stands beside them, `[row, component] float32`."""
    from pipeline.data.number_scaling import scaled

    return scaled(spec.settings, spec.fitted or {}, _values(spec, rows))


def describe(spec: FeatureSpec, values: npt.NDArray[np.float32]) -> tuple[Columns, None]:
    """Return the scaled number of each row."""
    [fact] = spec.facts
    return {fact: values[:, 0]}, None


def _values(spec: FeatureSpec, rows: pa.Table) -> npt.NDArray[np.float64]:
    """Return a clean column, `[row]`, NaN for a missing value."""
    import numpy as np

    values: npt.NDArray[np.float64] = rows[spec.name].fill_null(np.nan).to_numpy()
    return values
