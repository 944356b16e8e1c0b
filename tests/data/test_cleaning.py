"""What one row alone is rejected for, and how a shard is divided. The comparison of rows needs Spark: tests/system."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.cleaning import (
    CONFLICT,
    DUPLICATE,
    FOUND_SCHEMA,
    UNKNOWN_LABEL,
    examine,
    in_question,
    quarantine_schema,
    reasons,
    rejected_rows,
    separate,
)
from pipeline.data.feature_kinds import clean_schema, specs
from pipeline.data.picture_reasons import EMPTY, REASONS, TRUNCATED, WRONG_SIZE
from pipeline.data.resizing import resize
from pipeline.errors import DataError
from pipeline.storage.shards import array_of
from tests.data.given import image_columns, image_feature, image_specs, picture, raw_row, raw_table

PIXELS = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
IMAGE = image_specs((2, 3, 1))
TWO = specs({"front": image_feature((2, 3, 1)), "back": image_feature((2, 3, 1))})


def row(number: int = 0, **changes: object) -> dict[str, object]:
    return {**raw_row(number), **image_columns(PIXELS), **changes}


def of_two(**changes: object) -> dict[str, object]:
    return {**raw_row(), **image_columns(PIXELS, "front"), **image_columns(PIXELS, "back"), **changes}


@pytest.mark.parametrize(
    ("changes", "reason", "column", "detail"),
    [
        ({}, None, None, None),
        ({"image": b"short"}, TRUNCATED, "image", "5 bytes, declared 6"),
        (
            {"image_height": 3, "image_width": 2},
            WRONG_SIZE,
            "image",
            "3 × 2 pixels, the recipe says 2 × 3 (height × width)",
        ),
        ({"label": 2}, UNKNOWN_LABEL, "label", "2"),
        ({"label": -1}, UNKNOWN_LABEL, "label", "-1"),
        ({"label": -1, "detail": "boots"}, UNKNOWN_LABEL, "label", "boots"),
        ({"label": None}, None, None, None),
        ({"label": 9, "image": b""}, EMPTY, "image", "it has no bytes"),
        ({"problem": "a link", "detail": "to /etc", "label": 9, "image": None}, "a link", None, "to /etc"),
    ],
)
def test_a_row_is_rejected_for_the_first_reason_that_applies(changes, reason, column, detail):
    facts, clean = examine(raw_table(IMAGE, row(), row(1, **changes)), shard=4, classes=2, features=IMAGE)

    assert facts["reason"].to_pylist() == [None, reason]
    assert facts["column"].to_pylist() == [None, column]
    assert facts["detail"].to_pylist() == [None, detail]
    assert facts["shard"].to_pylist() == [4, 4]
    assert facts["position"].to_pylist() == [0, 1]
    assert clean["id"].to_pylist() == ["row-0"] + ["row-1"] * (reason is None)


@pytest.mark.parametrize(
    ("changes", "reason", "column"),
    [
        ({}, None, None),
        ({"back": b"short"}, TRUNCATED, "back"),
        ({"back": b"short", "front_height": 3, "front_width": 2}, WRONG_SIZE, "front"),
        ({"back": b"short", "label": 7}, TRUNCATED, "back"),
    ],
)
def test_of_several_features_the_first_that_is_unusable_is_named(changes, reason, column):
    facts, _ = examine(raw_table(TWO, of_two(**changes)), 0, 2, TWO)

    assert facts.select(["reason", "column"]).to_pylist() == [{"reason": reason, "column": column}]


def test_reasons_are_counted_features_first_then_the_label_then_other_rows():
    assert reasons(IMAGE) == reasons(TWO) == (*REASONS, UNKNOWN_LABEL, CONFLICT, DUPLICATE)


def test_a_usable_row_leaves_decoded_with_the_digest_of_what_it_holds():
    png = row(1, image_encoding="png", image=picture(PIXELS, "png"))
    raw = raw_table(IMAGE, row(), {**png, "label": 7}, png)

    _, clean = examine(raw, 0, 2, IMAGE)

    assert clean.schema == clean_schema(IMAGE)
    assert clean["id"].to_pylist() == ["row-0", "row-1"]
    assert array_of(clean["image"], IMAGE[0]).tolist() == [resize(PIXELS[None], 8, 8)[0].tolist()] * 2
    assert clean["content_digest"].to_pylist() == [raw["content_digest"][0].as_py()] * 2  # and the png has that of raw


def test_a_png_equals_the_raw_image_it_holds():
    png = row(image_encoding="png", image=picture(PIXELS, "png"))

    contents = examine(raw_table(IMAGE, row(), png, {**png, "label": 7}), 0, 2, IMAGE)[0]["content"].to_pylist()

    assert contents[0] == contents[1]
    assert contents[2] is None


def test_pictures_that_are_the_same_once_resized_are_equal_and_keep_digests_of_their_own():
    flat = [np.full((*sides, 1), 9, np.uint8) for sides in ((4, 5), (7, 7))]
    features = specs({"image": image_feature((0, 0, 1), raw_height=None, raw_width=None)})

    facts, clean = examine(
        raw_table(features, *({**raw_row(), **image_columns(each)} for each in flat)), 0, 2, features
    )

    assert len(set(facts["content"].to_pylist())) == 1
    assert len(set(clean["content_digest"].to_pylist())) == 2


def test_rows_are_equal_only_if_all_of_their_features_are():
    other = image_columns(PIXELS[::-1], "back")
    png = {"front_encoding": "png", "front": picture(PIXELS, "png")}

    facts, _ = examine(raw_table(TWO, of_two(), of_two(**png), of_two(**other)), 0, 2, TWO)

    contents = facts["content"].to_pylist()
    assert contents[0] == contents[1] != contents[2]


def test_of_equal_rows_test_comes_before_validation_before_training_before_unlabelled():
    rows = [{"part": part} for part in ("train", "validation", "test")] + [{"part": "test", "label": None}]

    facts, _ = examine(raw_table(IMAGE, *(row(**each) for each in rows)), 0, 2, IMAGE)

    assert facts["rank"].to_pylist() == [2, 1, 0, 3]


def test_content_that_is_not_its_digest_s_is_named():
    table = raw_table(IMAGE, row(id="abc"))
    place = table.column_names.index("image")
    changed = table.set_column(place, "image", pa.array([PIXELS[::-1].tobytes()], pa.binary()))

    with pytest.raises(DataError, match="row abc: its content does not match its digest"):
        examine(changed, 0, 2, IMAGE)


def test_a_shard_is_divided_into_kept_held_back_and_rejected_rows_in_order():
    changes = [{}, {"image": b""}, {}, {"label": None}, {}, {"label": None}, {"label": 5}]
    table = raw_table(IMAGE, *(row(n, **each) for n, each in enumerate(changes)))
    facts, _ = examine(table, 0, 2, IMAGE)
    lines = [(2, CONFLICT, "equal rows are labelled a, b"), (5, DUPLICATE, "of file row 3")]
    found = pa.Table.from_pylist(
        [dict(zip(FOUND_SCHEMA.names, (0, *line), strict=True)) for line in lines], FOUND_SCHEMA
    )

    is_kept, is_held_back, rejected = separate(facts, found)

    assert is_kept.tolist() == [True, False, False, True, False]  # of the usable rows 0, 2, 3, 4, 5
    assert is_held_back.tolist() == [False, False, True, False, False]
    quarantine = rejected_rows(table, rejected, IMAGE)
    assert quarantine.schema == quarantine_schema(IMAGE)
    told = quarantine.select(["id", "reason", "column", "detail"]).to_pylist()
    assert [tuple(each.values()) for each in told] == [
        ("row-1", EMPTY, "image", "it has no bytes"),
        ("row-2", CONFLICT, "label", "equal rows are labelled a, b"),
        ("row-5", DUPLICATE, None, "of file row 3"),
        ("row-6", UNKNOWN_LABEL, "label", "5"),
    ]


@given(st.lists(st.lists(st.integers(-5, 5), max_size=9), max_size=6))
def test_in_question_is_every_row_whose_key_another_one_has(keys: list[list[int]]) -> None:
    counts = Counter(key for of_shard in keys for key in of_shard)
    found = in_question([np.array(of_shard, np.int64) for of_shard in keys])
    assert [each.tolist() for each in found] == [[counts[key] > 1 for key in of_shard] for of_shard in keys]
