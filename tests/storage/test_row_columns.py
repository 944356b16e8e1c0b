"""The columns that roles bring, and which of them rows keep on their way."""

from __future__ import annotations

import pyarrow as pa

from pipeline.recipe.recipe import Roles
from pipeline.storage.row_columns import MOMENT, WEIGHT, RowColumns
from pipeline.storage.shards import describe_schema, prepared_schema

EVERY = RowColumns.of((), Roles(id="i", group="g", time="t", weight="w", slices=("Wind",)))


def test_each_role_is_a_column_of_its_type() -> None:
    assert dict(EVERY.fields) == {
        "key": pa.string(), "group": pa.string(), "time": MOMENT, WEIGHT: pa.float64(), "slice_wind": pa.string(),
    }  # fmt: skip


def test_rows_are_told_apart_by_id_group_and_time_alone() -> None:
    assert EVERY.apart == ["key", "group", "time"]


def test_prepared_rows_keep_weight_and_slices_and_their_copies_the_weight() -> None:
    assert EVERY.prepared == [(WEIGHT, pa.float64()), ("slice_wind", pa.string())]
    assert prepared_schema([], EVERY).names == ["id", "label", WEIGHT, "slice_wind"]
    assert prepared_schema([], EVERY.of_copies).names == ["id", "label", WEIGHT]
    assert prepared_schema([], RowColumns().of_copies).names == ["id", "label"]


def test_what_a_data_set_has_is_found_by_its_columns() -> None:
    found = RowColumns.found(describe_schema(prepared_schema([], EVERY)))
    assert (found.is_number, found.has_weight, found.slices) == (True, True, ["slice_wind"])
    assert not RowColumns.found({"label": "int32", "weight": "double"}).has_weight, "a feature may be called so"
