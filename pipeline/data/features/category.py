"""Categories: from text to the number of its place in a vocabulary that is learned from the training part.

Recipe: `data: {features: {carrier: {kind: category, settings: {missing: unknown, at_least: 5}}}}`.

A source delivers the text of a column as it stands there, null where it says that a value is missing. Texts stay texts:
`007` is not `7`. What of them counts is said by `data/category_texts.py`; clean rows hold that, null if missing.

A missing value is filled first. The vocabulary is then what training rows hold, the most frequent first, of equally
frequent ones the first by its code points. Index 0 is every text that is not in it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

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
TOO_LONG = "category too long"
REASONS = (MISSING, TOO_LONG)
NOT_IN_TRAINING = "category not in the training part"
_LONGEST = 1000  # characters
# A short text. Longer ones take what their raw value takes, of which a shard holds a bounded number of bytes.
_WORKING_BYTES = 64


class Settings(Base):
    """Its settings in the recipe."""

    column: str | None = Field(default=None, min_length=1, max_length=1000, description="null: the feature's name")
    missing: Literal["reject", "unknown", "mode", "constant"] = Field(
        default="reject",
        description="what becomes of a row without a value: it is rejected, or unknown, or gets the most frequent "
        "category of the training part, or `fill`",
    )
    fill: str | None = Field(
        default=None, min_length=1, max_length=_LONGEST, description="the category of a missing value"
    )
    unknown: Literal["index", "reject"] = Field(
        default="index",
        description="what becomes of a validation or test row whose category the training part has not: it has index "
        "0, or is left out",
    )
    most: int = Field(default=1000, ge=1, le=100_000, description="categories with an index, the most frequent ones")
    at_least: int = Field(default=1, ge=1, le=1_000_000_000, description="training rows of a category with an index")

    @field_validator("fill")
    @classmethod
    def _is_as_compared(cls, fill: str | None) -> str | None:
        if fill is not None and (fill != fill.strip() or fill != unicodedata.normalize("NFC", fill)):
            raise ValueError("text without blanks around it, in Unicode's form NFC, is needed")
        if fill is not None and "\0" in fill:
            raise ValueError("text without NUL is needed")
        return fill

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if self.missing == "constant" and self.fill is None:
            raise ValueError("missing: constant needs `fill`, the category that a missing value becomes")
        if self.missing != "constant" and self.fill is not None:
            raise ValueError(f"fill is for missing: constant; with missing: {self.missing} it must be null")
        if self.unknown == "reject" and self.at_least > 1:
            raise ValueError(
                "at_least must be 1 with unknown: reject, or the training part has unknown categories, too"
            )
        return self


def raw_columns(name: str) -> dict[str, str]:
    """Return the column that a source delivers: the text, null if the value is missing."""
    return {name: "string"}


def clean_columns(spec: FeatureSpec) -> dict[str, pa.DataType]:
    """Return the column of texts as they are compared, null if missing."""
    import pyarrow as pa

    return {spec.name: pa.string()}


def facts(name: str) -> dict[str, str]:
    """Return what stands beside a prepared value: the index itself."""
    return {f"{name}_index": "int32"}


def shape(settings: Settings) -> tuple[int, ...]:  # noqa: ARG001 - as every kind is asked
    """Return the shape of an index."""
    return ()


def spec(name: str, settings: Settings) -> FeatureSpec:
    """Return the feature as it is prepared, not fitted yet."""
    from pipeline.records.feature import FeatureSpec

    complete = settings.model_dump(mode="json")
    return FeatureSpec(
        name=name, kind="category", dtype="int32", shape=shape(settings), settings=complete, facts=facts(name)
    )


def largest_size(settings: Settings) -> int:
    """Return how many different indices there may be: unknown, and the vocabulary."""
    return settings.most + 1


def working_bytes(spec: FeatureSpec) -> int:  # noqa: ARG001 - as every kind is asked
    """Return the bytes of a clean category, as they usually are."""
    return _WORKING_BYTES


def raw_digests(spec: FeatureSpec, rows: pa.Table) -> pa.ChunkedArray:
    """Return each raw text after `=`, and nothing for a null, `[row]`."""
    import pyarrow.compute as pc

    return pc.binary_join_element_wise("=", rows[spec.name], "").fill_null("")


def examine(spec: FeatureSpec, rows: pa.Table, digests: Sequence[str]) -> Examined:  # noqa: ARG001 - as kinds are asked
    """Return why each text is no usable category, and the texts as they are compared."""
    import numpy as np
    import pyarrow.compute as pc

    from pipeline.data.category_texts import compared
    from pipeline.data.column_refusals import Refusals
    from pipeline.data.feature_kinds import Examined

    texts = rows[spec.name]
    coded = texts.combine_chunks().dictionary_encode()  # most columns have few distinct texts
    distinct, is_long = compared(coded.dictionary)
    values = distinct.take(coded.indices)
    too_long = np.asarray(is_long.take(coded.indices).fill_null(False))
    found = Refusals.none(rows.num_rows)
    if spec.settings["missing"] == "reject":
        nothing = f"nothing in column {spec.settings['column'] or spec.name}"
        is_missing = np.asarray(values.is_null()) & ~too_long
        found.add(is_missing, MISSING, texts, lambda _: nothing)
    found.add(too_long, TOO_LONG, texts, lambda text: f"more than {_LONGEST} characters: {text[:100]}")
    held = pc.binary_join_element_wise("=", values, "").fill_null("")
    return Examined(found.reasons, found.details, held, {spec.name: values})


def learn(spec: FeatureSpec, rows: pa.Table) -> ValueCounts:
    """Return the distinct categories of clean training rows, and how often each comes."""
    from pipeline.data.value_counts import counted

    return counted(rows[spec.name])


def joined(spec: FeatureSpec, partials: Sequence[ValueCounts]) -> ValueCounts:  # noqa: ARG001 - as kinds are asked
    """Return the distinct categories of several pieces, and how often each comes."""
    import pyarrow as pa

    from pipeline.data.value_counts import added

    return added(partials, pa.string())


def fit(spec: FeatureSpec, partials: Sequence[ValueCounts]) -> dict[str, Any]:
    """Return the `vocabulary`, whose first text has index 1, and what `fill`s a missing value.

    Raises DataError if the training part has no category that gets an index, or has too many where all must get one.
    """
    import pyarrow as pa

    from pipeline.data.category_vocabulary import learned
    from pipeline.data.value_counts import added

    return learned(spec.name, spec.settings, added(partials, pa.string()))


def summary(spec: FeatureSpec, partials: Sequence[ValueCounts]) -> dict[str, Any]:  # noqa: ARG001 - as kinds are asked
    """Return the commonest categories of the training part."""
    import pyarrow as pa

    from pipeline.data.column_summaries import of_categories
    from pipeline.data.value_counts import added

    counts = added(partials, pa.string())
    return of_categories(counts.values.to_pylist(), counts.counts, counts.missing)


def left_out(spec: FeatureSpec, rows: pa.Table, part: str) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    """Return which rows of the other parts are left out because the training part has not their category."""
    import numpy as np

    from pipeline.data.column_refusals import Refusals

    found = Refusals.none(rows.num_rows)
    if part != "train" and spec.settings["unknown"] == "reject":
        column = rows[spec.name]
        is_unknown = (prepare(spec, rows) == 0) & np.asarray(column.is_valid())
        found.add(is_unknown, NOT_IN_TRAINING, column)
    return found.reasons, found.details


def prepare(spec: FeatureSpec, rows: pa.Table) -> npt.NDArray[np.int32]:
    """Return the index of each clean row's category, `[row] int32`."""
    from pipeline.data.category_vocabulary import indices

    return indices(spec.fitted or {}, rows[spec.name])


def describe(spec: FeatureSpec, values: npt.NDArray[np.int32]) -> tuple[Columns, None]:
    """Return each row's index."""
    [fact] = spec.facts
    return {fact: values}, None
