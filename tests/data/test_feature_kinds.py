"""What rows hold of several features, whatever their kinds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.cleaning import examine
from pipeline.data.feature_kinds import (
    clean_names,
    clean_schema,
    content_digests,
    fitted,
    joined_digests,
    prepare,
    prepared_table,
    raw_schema,
    specs,
    working_bytes,
)
from pipeline.storage.shards import prepared_schema
from tests.data.given import image_columns, image_feature, image_specs, images, raw_row, raw_table

ONE = image_specs()
TWO = specs({"front": image_feature(), "back": image_feature((9, 7, 3))})


def test_a_row_of_one_feature_has_that_feature_s_digest():
    assert joined_digests({"image": ["a", "b"]}).to_pylist() == ["a", "b"]


@given(st.permutations(["x", "y", "z"]))
def test_neither_a_recipe_s_order_of_features_nor_another_feature_s_value_is_mistaken(order):
    digests = {"x": ["1"], "y": ["2"], "z": ["3"]}

    assert joined_digests({name: digests[name] for name in order}) == joined_digests(digests)
    assert joined_digests({"x": ["1"], "y": ["2"]}) != joined_digests({"x": ["2"], "y": ["1"]})


def test_raw_rows_hold_the_raw_columns_of_every_feature():
    assert raw_schema(TWO).names == [
        *("id", "label", "part", "source", "row", "content_digest", "problem", "detail"),
        *("front_height", "front_width", "front_channels", "front_mode", "front_encoding", "front"),
        *("back_height", "back_width", "back_channels", "back_mode", "back_encoding", "back"),
    ]


def test_clean_rows_hold_decoded_values_in_place_of_raw_ones():
    schema = clean_schema(TWO)

    assert schema.names == ["id", "label", "part", "source", "row", "content_digest", "front", "back"]
    assert clean_names(TWO) == ["front", "back"]
    assert [schema.field(name).type for name in clean_names(TWO)] == [pa.binary(64), pa.binary(64 * 3)]


def test_a_specification_is_complete_and_not_fitted():
    [spec] = ONE

    assert (spec.name, spec.kind, spec.type, spec.fitted) == ("image", "image", "uint8[8,8,1]", None)
    given = {"raw_height": 8, "raw_width": 8, "channels": 1, "height": 8, "width": 8}
    assert spec.settings == {**given, "resize": "stretch", "background": 255, "pixels_at_most": 64_000_000}


def test_prepared_rows_hold_every_feature_with_its_facts():
    rows = [raw_row(n, **image_columns(images(1, (8, 8, 1), n)[0], "front")) for n in range(3)]
    table = raw_table(TWO, *({**row, **image_columns(images(1, (9, 7, 3))[0], "back")} for row in rows))

    _, clean = examine(table, 0, 1, TWO)

    prepared, partials = prepared_table({"id": clean["id"], "label": clean["label"]}, TWO, prepare(TWO, clean))

    assert prepared.schema == prepared_schema(TWO)
    assert prepared["front_mean"][0].as_py() == np.float32(images(1, (8, 8, 1), 0).mean())
    learned = fitted(TWO, [partials])
    assert [len(spec.fitted["mean"]) for spec in learned if spec.fitted] == [1, 3]
    assert [spec.changed(fitted=None) for spec in learned] == list(TWO)


def test_what_a_row_takes_while_it_is_prepared_is_counted_over_its_features():
    assert working_bytes(TWO) == 8 * 8 + 8 * 8 * 3


def test_the_digest_of_a_row_covers_all_of_its_features():
    row = {**raw_row(), **image_columns(images(1, (8, 8, 1))[0], "front")}
    backs = [image_columns(images(1, (9, 7, 3), seed)[0], "back") for seed in (0, 1)]

    digests = [content_digests(TWO, raw_table(TWO, {**row, **back}))[0] for back in backs]

    assert digests[0] != digests[1]
