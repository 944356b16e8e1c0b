"""The features of a recipe: what raw, clean and prepared rows hold of them. Each kind says it for its own; here it is
joined.

A source delivers raw values (a picture's bytes, a text). Clean rows hold what was understood of them (pixels, a
number), once and for all; prepared rows what a model takes.

A kind is a file in `data/features/`. What it does stands in `Kind`; nothing else here knows one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.row_digests import hex_digests
from pipeline.recipe.recipe import FEATURE
from pipeline.recipe.settings import Settings
from pipeline.recipe.slots import Feature
from pipeline.records.columns import ColumnSummary
from pipeline.records.feature import FeatureSpec
from pipeline.storage.row_columns import RowColumns
from pipeline.storage.shards import Columns, column_of, prepared_schema

Specs = tuple[FeatureSpec, ...]


Texts: TypeAlias = Sequence[str] | Any  # [row]: texts, or an Arrow array of them
OF_CLASSES = RowColumns()

# What every raw row has, after its label and before its digest; the first three are in clean rows too.
_OF_SOURCE = (("part", pa.string()), ("source", pa.string()), ("row", pa.int64()))
_OF_PROBLEMS = (("problem", pa.string()), ("detail", pa.string()))


@dataclass(frozen=True)
class Examined:
    """What a kind finds in raw values, `[row]` each.

    `reasons` say why a value is unusable (one of the kind's REASONS, or None), `details` what exactly, for people.
    `held` are digests of what the values hold, or texts that say it, without NUL: the same, however they are encoded.
    `columns` are the clean columns; what stands there for an unusable value is left out.
    """

    reasons: npt.NDArray[np.object_]
    details: npt.NDArray[np.object_]
    held: Texts
    columns: Mapping[str, Any]


class Kind(Protocol):
    """What the file of a kind offers, beside its `Settings`.

    `raw_columns`, `facts` and `shape` are asked when a recipe is checked, so they import nothing. Every column
    begins with the feature's name.

    A kind whose prepared values depend on what is learned (a mean, a vocabulary) also offers `learn(spec, rows)`: what
    clean rows of the training part hold, in a form that can be put together with others of that kind. Then `fit` is
    given those, `prepare` a fitted spec alone, and `describe` gives nothing for `fit`.

    It may offer `left_out(spec, rows, part)`, too: why each clean row, `[row]`, cannot stay in a part once it is known
    what was learned, as reasons and details; None if it stays.

    It may offer `joined(spec, partials)`, too: what several pieces gave, as one that is worth as much, so that it is
    put together once; and `summary(spec, partials)`: what people are told of the column in the training part, for a
    fitted spec and from what `fit` is given: the fields of `records/columns.py`'s ColumnSummary, but name and kind.

    A kind whose values are pictures also offers `thumbnails(spec, values, shift)`: `[row, 32, 32] uint8`, in grey, by
    which rows of different parts are compared; `shift` is as in `perceptual_hash.thumbnails`.
    """

    REASONS: tuple[str, ...]  # why a raw value may be unusable, the first to be given first

    def raw_columns(self, name: str) -> dict[str, str]:
        """Return the columns that a source delivers, with their Arrow types. Payloads are `binary`."""

    def clean_columns(self, spec: FeatureSpec) -> dict[str, pa.DataType]:
        """Return the columns of clean rows, which stand in place of the raw ones, with their Arrow types."""

    def facts(self, name: str) -> dict[str, str]:
        """Return the columns, with their Arrow types, that stand beside prepared values for contracts."""

    def shape(self, settings: Any) -> tuple[int, ...]:
        """Return the shape of a prepared value."""

    def spec(self, name: str, settings: Any) -> FeatureSpec:
        """Return the feature as it is prepared, not fitted yet."""

    def working_bytes(self, spec: FeatureSpec) -> int:
        """Return how many bytes a clean or a prepared value takes, whichever is more."""

    def raw_digests(self, spec: FeatureSpec, rows: pa.Table) -> Texts:
        """Return the hex digest of each raw value of `rows` as it was delivered, or a text without NUL that says it."""

    def examine(self, spec: FeatureSpec, rows: pa.Table, digests: Texts) -> Examined:
        """Return what raw rows hold; `digests` are their `raw_digests`. No other verb sees a raw value."""

    def prepare(self, spec: FeatureSpec, rows: pa.Table) -> npt.NDArray[Any]:
        """Return clean rows' values as the model takes them, `[row, *shape]` of the spec's dtype."""

    def describe(self, spec: FeatureSpec, values: npt.NDArray[Any]) -> tuple[Columns, Any]:
        """Return the facts of each row of prepared values, and what `fit` needs of them together."""

    def fit(self, spec: FeatureSpec, partials: Sequence[Any]) -> dict[str, Any]:
        """Return what is learned from the training part, from what `describe` gave for its pieces.

        It is exact: neither the pieces nor their order make a difference.
        """


def kind_of(spec: FeatureSpec) -> Kind:
    """Return the file of a feature's kind."""
    return cast(Kind, FEATURE.member(spec.kind))


def specs(features: Mapping[str, Feature]) -> Specs:
    """Return the features of a recipe, `data.features`, in its order, not fitted yet."""
    made = []
    for name, feature in features.items():
        settings: Settings = FEATURE.settings(feature, f"data.features.{name}")
        made.append(cast(Kind, FEATURE.member(feature.kind)).spec(name, settings))
    return tuple(made)


def source_schema(features: Sequence[FeatureSpec], own: RowColumns = OF_CLASSES) -> pa.Schema:
    """Return the schema of what a source delivers: `data/source_rows.py` says what its columns mean."""
    return pa.schema([("label", own.label), *_OF_SOURCE, *_OF_PROBLEMS, *own.fields, *_raw_fields(features)])


def raw_schema(features: Sequence[FeatureSpec], own: RowColumns = OF_CLASSES) -> pa.Schema:
    """Return the schema of raw rows: the source's columns, with `id` first and `content_digest`."""
    return pa.schema([*_named_fields(own), *_OF_PROBLEMS, *own.fields, *_raw_fields(features)])


def clean_schema(features: Sequence[FeatureSpec], own: RowColumns = OF_CLASSES) -> pa.Schema:
    """Return the schema of clean and of unlabelled rows: each feature's clean columns in place of its raw ones."""
    of_features = (field for spec in features for field in kind_of(spec).clean_columns(spec).items())
    return pa.schema([*_named_fields(own), *own.fields, *of_features])


def clean_names(features: Sequence[FeatureSpec]) -> list[str]:
    """Return the features' clean columns."""
    return [name for spec in features for name in kind_of(spec).clean_columns(spec)]


def _named_fields(own: RowColumns) -> list[tuple[str, pa.DataType]]:
    return [("id", pa.string()), ("label", own.label), *_OF_SOURCE, ("content_digest", pa.string())]


def _raw_fields(features: Sequence[FeatureSpec]) -> list[tuple[str, pa.DataType]]:
    return [
        (name, pa.type_for_alias(kind))
        for spec in features
        for name, kind in kind_of(spec).raw_columns(spec.name).items()
    ]


def joined_digests(by_feature: Mapping[str, Texts], roles: Mapping[str, pa.ChunkedArray] | None = None) -> pa.Array:
    """Return a digest of each row, `[row] string`, from those of its features, or the texts that say what these hold.

    That of a single feature with digests is the row's. `roles` are columns that tell rows apart, too.
    """
    first = next(iter(by_feature.values()))
    if len(by_feature) == 1 and not roles and not isinstance(first, pa.Array | pa.ChunkedArray):
        return pa.array(first, pa.string())
    columns: list[Any] = []
    for name in sorted(by_feature):
        columns += [pa.scalar(name), _as_text(by_feature[name])]
    for name, values in sorted((roles or {}).items()):
        columns += [pa.scalar(name), _as_text(_marked(values))]
    return hex_digests(pc.binary_join_element_wise(*columns, "\0"))


def _as_text(values: Texts) -> pa.Array:
    made = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, pa.string())
    return made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made


def _marked(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return values as texts that begin with `=`; empty ones where there is none."""
    whole = values.cast(pa.int64()) if pa.types.is_timestamp(values.type) else values
    return pc.binary_join_element_wise("=", whole.cast(pa.string()), "").fill_null("")


def content_digests(features: Sequence[FeatureSpec], rows: pa.Table, own: RowColumns = OF_CLASSES) -> pa.Array:
    """Return the `content_digest` of each raw row: of its features as they were delivered, and of its roles."""
    delivered = {spec.name: kind_of(spec).raw_digests(spec, rows) for spec in features}
    return joined_digests(delivered, {name: rows[name] for name in own.apart})


def working_bytes(features: Sequence[FeatureSpec]) -> int:
    """Return how many bytes the values of a clean or a prepared row take, at most."""
    return sum(kind_of(spec).working_bytes(spec) for spec in features)


def prepare(features: Sequence[FeatureSpec], rows: pa.Table) -> Columns:
    """Return the values of clean rows by feature, `[row, *shape]` each."""
    return {spec.name: kind_of(spec).prepare(spec, rows) for spec in features}


def prepared_table(
    own: Mapping[str, Any], features: Sequence[FeatureSpec], values: Columns, columns_of_rows: RowColumns = OF_CLASSES
) -> tuple[pa.Table, dict[str, Any]]:
    """Return prepared rows of `shards.prepared_schema`, and by feature what `fitted` needs of them.

    `own` are the columns `id`, `label`, weight and slices, `[row]`; `values` are prepared ones by feature.
    """
    columns: dict[str, Any] = dict(own)
    partials = {}
    for spec in features:
        facts, partials[spec.name] = kind_of(spec).describe(spec, values[spec.name])
        columns |= {spec.name: column_of(values[spec.name], spec), **facts}
    return pa.table(columns, schema=prepared_schema(features, columns_of_rows)), partials


def picture_of(features: Sequence[FeatureSpec]) -> tuple[str, Callable[..., npt.NDArray[np.uint8]]] | None:
    """Return the name of the first feature that is a picture, and what makes its thumbnails; None if none is."""
    for spec in features:
        if thumbnails := getattr(kind_of(spec), "thumbnails", None):
            return spec.name, partial(thumbnails, spec)
    return None


def learns(spec: FeatureSpec) -> bool:
    """Return whether a feature's prepared values depend on what is learned from the training part."""
    return hasattr(kind_of(spec), "learn")


def learn(features: Sequence[FeatureSpec], rows: pa.Table) -> dict[str, Any]:
    """Return by feature what `fitted` needs of clean training rows: of those that learn before they are prepared."""
    return {spec.name: cast(Any, kind_of(spec)).learn(spec, rows) for spec in features if learns(spec)}


def joined(features: Sequence[FeatureSpec], partials: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return what pieces of the training part gave, put together as far as kinds can."""
    whole = {}
    for spec in features:
        verb = getattr(kind_of(spec), "joined", None)
        found = [partial[spec.name] for partial in partials if partial.get(spec.name) is not None]
        if verb and found:
            whole[spec.name] = verb(spec, found)
    rest = ({name: value for name, value in partial.items() if name not in whole} for partial in partials)
    return [whole, *rest]


def fitted(features: Sequence[FeatureSpec], partials: Sequence[Mapping[str, Any]]) -> Specs:
    """Return the features fitted on the training part, from what pieces of it gave: `learn` or `prepared_table`.

    A feature that no piece says anything of stays as it is.
    """
    made = []
    for spec in features:
        found = [partial[spec.name] for partial in partials if partial.get(spec.name) is not None]
        said = bool(found) or not learns(spec)
        made.append(spec.changed(fitted=kind_of(spec).fit(spec, found)) if said else spec)
    return tuple(made)


def summaries(features: Sequence[FeatureSpec], partials: Sequence[Mapping[str, Any]]) -> list[ColumnSummary]:
    """Return what kinds tell people of fitted features, from what pieces of the training part gave, as in `fitted`."""
    told = []
    for spec in features:
        verb = getattr(kind_of(spec), "summary", None)
        found = [partial[spec.name] for partial in partials if partial.get(spec.name) is not None]
        if verb and found:
            told.append(ColumnSummary(name=spec.name, kind=spec.kind, **verb(spec, found)))
    return told


def left_out(features: Sequence[FeatureSpec], rows: pa.Table, part: str) -> pa.Table:
    """Return which clean rows cannot stay in a part: `position`, `reason`, `column` and `detail`, by position.

    The first feature that has a reason says it.
    """
    found: dict[int, tuple[str, str, str | None]] = {}
    for spec in features:
        verb = getattr(kind_of(spec), "left_out", None)
        if verb is None:
            continue
        reasons, details = verb(spec, rows, part)
        for position in np.flatnonzero([reason is not None for reason in reasons]).tolist():
            found.setdefault(position, (reasons[position], spec.name, details[position]))
    positions = sorted(found)
    columns = [[found[position][number] for position in positions] for number in range(3)]
    return pa.table([positions, *columns], schema=LEFT_OUT_POSITIONS)


LEFT_OUT_POSITIONS = pa.schema(
    [("position", pa.int64()), ("reason", pa.string()), ("column", pa.string()), ("detail", pa.string())]
)
