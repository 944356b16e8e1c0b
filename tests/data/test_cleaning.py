"""What one row alone is rejected for, and how a shard is divided. The comparison of rows needs Spark: tests/system."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipeline.data.cleaning import CONFLICT, DUPLICATE, FOUND_SCHEMA, UNKNOWN_LABEL, examine, reasons, separate
from pipeline.data.feature_kinds import specs
from pipeline.data.features.image import UNREADABLE, WRONG_SIZE
from pipeline.errors import DataError
from tests.data.given import image_columns, image_feature, image_specs, picture, raw_row, raw_table

PIXELS = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
IMAGE = image_specs((2, 3, 1))
TWO = specs({"front": image_feature((2, 3, 1)), "back": image_feature((2, 3, 1))})


def row(number: int = 0, **changes: object) -> dict[str, object]:
    return {**raw_row(number), **image_columns(PIXELS), **changes}


def of_two(**changes: object) -> dict[str, object]:
    return {**raw_row(), **image_columns(PIXELS, "front"), **image_columns(PIXELS, "back"), **changes}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"image": b"short"}, UNREADABLE),
        ({"image_height": 3, "image_width": 2}, WRONG_SIZE),
        ({"label": 2}, UNKNOWN_LABEL),
        ({"label": -1}, UNKNOWN_LABEL),
        ({"label": None}, UNKNOWN_LABEL),
        ({"label": 9, "image": b""}, UNREADABLE),
    ],
)
def test_a_row_is_rejected_for_the_first_reason_that_applies(changes, reason):
    facts = examine(raw_table(IMAGE, row(), row(**changes)), shard=4, classes=2, features=IMAGE)

    assert facts["reason"].to_pylist() == [None, reason]
    assert facts["shard"].to_pylist() == [4, 4]
    assert facts["position"].to_pylist() == [0, 1]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"back": b"short"}, "back: unreadable"),
        ({"back": b"short", "front_height": 3, "front_width": 2}, "front: wrong size"),
        ({"back": b"short", "label": 7}, "back: unreadable"),
    ],
)
def test_of_several_features_the_reason_names_the_first_that_is_unusable(changes, reason):
    assert examine(raw_table(TWO, of_two(**changes)), 0, 2, TWO)["reason"].to_pylist() == [reason]


def test_reasons_are_counted_features_first_then_the_label_then_other_rows():
    assert reasons(IMAGE) == (UNREADABLE, WRONG_SIZE, UNKNOWN_LABEL, CONFLICT, DUPLICATE)
    assert reasons(TWO)[:4] == ("front: unreadable", "front: wrong size", "back: unreadable", "back: wrong size")


def test_a_png_equals_the_raw_image_it_holds():
    png = row(image_encoding="png", image=picture(PIXELS, "png"))

    facts = examine(raw_table(IMAGE, row(), png, {**png, "label": 7}), 0, 2, IMAGE)

    contents = facts["content"].to_pylist()
    assert contents[0] == contents[1]
    assert facts["held"].to_pylist() == [None, contents[1], None]  # of the raw one, the digest says it already


def test_rows_are_equal_only_if_all_of_their_features_are():
    other = image_columns(PIXELS[::-1], "back")
    png = {"front_encoding": "png", "front": picture(PIXELS, "png")}

    contents = examine(raw_table(TWO, of_two(), of_two(**png), of_two(**other)), 0, 2, TWO)["content"].to_pylist()

    assert contents[0] == contents[1] != contents[2]


def test_a_rejected_row_equals_nothing():
    facts = examine(raw_table(IMAGE, row(label=7), row(label=7), row()), 0, 2, IMAGE)

    assert len(set(facts["content"].to_pylist())) == 3


def test_content_that_is_not_its_digest_s_is_named():
    table = raw_table(IMAGE, row(id="abc"))
    place = table.column_names.index("image")
    changed = table.set_column(place, "image", pa.array([PIXELS[::-1].tobytes()], pa.binary()))

    with pytest.raises(DataError, match="row abc: its content does not match its digest"):
        examine(changed, 0, 2, IMAGE)


def test_separating_keeps_the_order_and_gives_each_rejected_row_its_own_reason():
    table = raw_table(IMAGE, *(row(id=str(n)) for n in range(5)))

    found = [(1, "first", None), (3, None, "held by 3"), (4, "second", "held by 4")]
    lines = [dict(zip(FOUND_SCHEMA.names, (0, *line), strict=True)) for line in found]

    kept, rejected = separate(table, pa.Table.from_pylist(lines, FOUND_SCHEMA))

    assert kept["content_digest"].to_pylist() == [*table["content_digest"].to_pylist()[:3:2], "held by 3"]
    assert rejected["content_digest"].to_pylist() == [table["content_digest"][1].as_py(), "held by 4"]
    assert kept["id"].to_pylist() == ["0", "2", "3"]
    assert rejected["id"].to_pylist() == ["1", "4"]
    assert rejected["reason"].to_pylist() == ["first", "second"]
