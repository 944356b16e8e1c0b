"""The features of a recipe: what raw and prepared rows hold of them. Each kind says it for its own; here it is joined.

A kind is a file in `data/features/`. What it does stands in `Kind`; nothing else here knows one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.recipe.recipe import FEATURE
from pipeline.recipe.settings import Settings
from pipeline.recipe.slots import Feature
from pipeline.records.feature import FeatureSpec
from pipeline.storage.shards import Columns, column_of, prepared_schema

Specs = tuple[FeatureSpec, ...]


class Kind(Protocol):
    """What the file of a kind offers, beside its `Settings`. `rows` are tables with the feature's raw columns.

    `raw_columns`, `facts` and `shape` are asked when a recipe is checked, so they import nothing. Every column
    begins with the feature's name.

    A kind whose values are pictures also offers `thumbnails(spec, values, shift)`: `[row, 32, 32] uint8`, in grey, by
    which rows of different parts are compared; `shift` is as in `perceptual_hash.thumbnails`.
    """

    REASONS: tuple[str, ...]  # why a raw value may be unusable, the first to be given first

    def raw_columns(self, name: str) -> dict[str, str]:
        """Return the columns that a source delivers, with their Arrow types. Payloads are `binary`."""

    def facts(self, name: str) -> dict[str, str]:
        """Return the columns, with their Arrow types, that stand beside prepared values for contracts."""

    def shape(self, settings: Any) -> tuple[int, ...]:
        """Return the shape of a prepared value."""

    def spec(self, name: str, settings: Any) -> FeatureSpec:
        """Return the feature as it is prepared, not fitted yet."""

    def working_bytes(self, spec: FeatureSpec) -> int:
        """Return how many bytes a row takes, at most, while it is prepared."""

    def raw_digests(self, spec: FeatureSpec, rows: pa.Table) -> list[str]:
        """Return the hex digest of each raw value as it was delivered, `[row]`."""

    def examine(
        self, spec: FeatureSpec, rows: pa.Table, digests: Sequence[str]
    ) -> tuple[npt.NDArray[Any], Sequence[str]]:
        """Return why each raw value is unusable (one of REASONS, or None), and the digest of what it holds, `[row]`.

        Values that hold the same have the same digest, however they are encoded.
        """

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


def source_schema(features: Sequence[FeatureSpec]) -> pa.Schema:
    """Return the schema of what a source delivers: label, part, source, row, then each feature's raw columns."""
    fields = [("label", pa.int32()), ("part", pa.string()), ("source", pa.string()), ("row", pa.int64())]
    for spec in features:
        fields += [(name, pa.type_for_alias(kind)) for name, kind in kind_of(spec).raw_columns(spec.name).items()]
    return pa.schema(fields)


def raw_schema(features: Sequence[FeatureSpec]) -> pa.Schema:
    """Return the schema of raw and of clean rows: the source's columns, with `id` first and `content_digest`."""
    source = source_schema(features)
    digest = pa.field("content_digest", pa.string())
    return pa.schema([pa.field("id", pa.string()), *list(source)[:4], digest, *list(source)[4:]])


def joined_digests(by_feature: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a digest of each row, `[row]`, from those of its features: that of a single feature as it is."""
    if len(by_feature) == 1:
        return list(*by_feature.values())
    names = sorted(by_feature)
    rows = zip(*(by_feature[name] for name in names), strict=True)
    texts = ("\0".join(part for pair in zip(names, row, strict=True) for part in pair) for row in rows)
    return [hashlib.sha256(text.encode()).hexdigest() for text in texts]


def content_digests(features: Sequence[FeatureSpec], rows: pa.Table) -> list[str]:
    """Return the `content_digest` of each raw row: of its features as they were delivered."""
    return joined_digests({spec.name: kind_of(spec).raw_digests(spec, rows) for spec in features})


def working_bytes(features: Sequence[FeatureSpec]) -> int:
    """Return how many bytes a row takes, at most, while it is prepared."""
    return sum(kind_of(spec).working_bytes(spec) for spec in features)


def prepare(features: Sequence[FeatureSpec], rows: pa.Table) -> Columns:
    """Return the values of clean rows by feature, `[row, *shape]` each."""
    return {spec.name: kind_of(spec).prepare(spec, rows) for spec in features}


def prepared_table(
    ids: Any, labels: Any, features: Sequence[FeatureSpec], values: Columns
) -> tuple[pa.Table, dict[str, Any]]:
    """Return prepared rows of `shards.prepared_schema`, and by feature what `fitted` needs of them.

    `ids` and `labels` are columns, `[row]`; `values` are prepared ones by feature.
    """
    columns: dict[str, Any] = {"id": ids, "label": labels}
    partials = {}
    for spec in features:
        facts, partials[spec.name] = kind_of(spec).describe(spec, values[spec.name])
        columns |= {spec.name: column_of(values[spec.name], spec), **facts}
    return pa.table(columns, schema=prepared_schema(features)), partials


def picture_of(features: Sequence[FeatureSpec]) -> tuple[str, Callable[..., npt.NDArray[np.uint8]]] | None:
    """Return the name of the first feature that is a picture, and what makes its thumbnails; None if none is."""
    for spec in features:
        if thumbnails := getattr(kind_of(spec), "thumbnails", None):
            return spec.name, partial(thumbnails, spec)
    return None


def fitted(features: Sequence[FeatureSpec], partials: Sequence[Mapping[str, Any]]) -> Specs:
    """Return the features fitted on the training part, from what `prepared_table` gave for its pieces."""
    return tuple(
        spec.changed(fitted=kind_of(spec).fit(spec, [partial[spec.name] for partial in partials])) for spec in features
    )
