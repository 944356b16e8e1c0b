"""What one row alone is rejected for, and how a shard is divided. The comparison of rows needs Spark: tests/system."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pipeline.data.cleaning import UNKNOWN_LABEL, UNREADABLE, WRONG_SIZE, examine, separate
from pipeline.data.identity import payload_digests
from pipeline.errors import DataError
from pipeline.storage.shards import RAW_SCHEMA

IMAGE = (2, 3, 1)
PIXELS = bytes(range(6))


def row(**changes: object) -> dict[str, object]:
    plain = {
        "id": "x",
        "label": 0,
        "part": "train",
        "source": "file",
        "row": 0,
        "height": 2,
        "width": 3,
        "channels": 1,
        "encoding": "raw",
        "payload": PIXELS,
    }
    return {**plain, **changes}


def raw_table(*rows: dict[str, object]) -> pa.Table:
    table = pa.Table.from_pylist(list(rows), RAW_SCHEMA)
    return table.set_column(9, "payload_digest", pa.array(payload_digests(table)))


def png(pixels: bytes = PIXELS, shape: tuple[int, int] = (2, 3)) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.frombuffer(pixels, np.uint8).reshape(shape)).save(content, "PNG")
    return content.getvalue()


REASONS = [
    ({}, None),
    ({"payload": PIXELS[:-1]}, UNREADABLE),
    ({"payload": PIXELS + b"x"}, UNREADABLE),
    ({"payload": None}, UNREADABLE),
    ({"encoding": "bmp"}, UNREADABLE),
    ({"encoding": None}, UNREADABLE),
    ({"height": None}, UNREADABLE),
    ({"height": 0, "payload": b""}, UNREADABLE),
    ({"height": 2**31 - 1, "width": 2**31 - 1, "channels": 2**31 - 1}, UNREADABLE),
    ({"height": 3, "width": 2}, WRONG_SIZE),
    ({"height": 1, "width": 2, "channels": 3}, WRONG_SIZE),
    ({"label": 2}, UNKNOWN_LABEL),
    ({"label": -1}, UNKNOWN_LABEL),
    ({"label": None}, UNKNOWN_LABEL),
    ({"label": 9, "payload": b""}, UNREADABLE),
    ({"encoding": "png", "payload": png()}, None),
    ({"encoding": "png", "payload": png()[:-20]}, UNREADABLE),
    ({"encoding": "jpeg", "payload": png()}, UNREADABLE),
    ({"encoding": "png", "payload": png(PIXELS, (3, 2))}, UNREADABLE),
    ({"encoding": "png", "height": 3, "width": 2, "payload": png(PIXELS, (3, 2))}, WRONG_SIZE),
]


@pytest.mark.parametrize(("changes", "reason"), REASONS)
def test_a_row_is_rejected_for_the_first_reason_that_applies(changes, reason):
    facts = examine(raw_table(row(), row(**changes)), shard=4, classes=2, image=IMAGE)

    assert facts["reason"].to_pylist() == [None, reason]
    assert facts["shard"].to_pylist() == [4, 4]
    assert facts["position"].to_pylist() == [0, 1]


def test_a_png_equals_the_raw_image_it_holds():
    digests = examine(raw_table(row(), row(encoding="png", payload=png())), 0, 2, IMAGE)["image_digest"].to_pylist()

    assert digests[0] == digests[1]


def test_a_rejected_row_equals_nothing():
    facts = examine(raw_table(row(label=7), row(label=7), row()), 0, 2, IMAGE)

    assert len(set(facts["image_digest"].to_pylist())) == 3


def test_a_payload_that_is_not_its_digest_s_is_named():
    table = raw_table(row(id="abc"))
    changed = table.set_column(10, "payload", pa.array([PIXELS[::-1]], pa.binary()))

    with pytest.raises(DataError, match="row abc: its payload does not match its digest"):
        examine(changed, 0, 2, IMAGE)


def test_separating_keeps_the_order_and_gives_each_rejected_row_its_own_reason():
    table = raw_table(*(row(id=str(n)) for n in range(5)))

    kept, rejected = separate(table, np.array([1, 4], np.int32), ["first", "second"])

    assert kept["id"].to_pylist() == ["0", "2", "3"]
    assert rejected["id"].to_pylist() == ["1", "4"]
    assert rejected["reason"].to_pylist() == ["first", "second"]
