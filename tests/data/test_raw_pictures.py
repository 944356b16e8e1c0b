"""Raw arrays of pictures, many at once: nothing is found that is not found of each by itself."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data import decoding
from pipeline.data.decoding import SIDE_LIMIT, Refused, Rules, of_raw, shape_digest
from pipeline.data.feature_kinds import specs
from pipeline.data.features import image
from pipeline.data.raw_pictures import usable_arrays
from pipeline.data.resizing import resize
from tests.data.given import image_columns, image_feature, picture

SIDES = st.sampled_from([None, -1, 0, 1, 2, 3, 8, SIDE_LIMIT + 1, 2**31 - 1])
SCHEMA = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in image.raw_columns("image").items()])


@st.composite
def deliveries(draw: st.DrawFn) -> dict[str, Any]:
    """Deliver a raw array that is whole, most often; else a file, or what is declared otherwise than it is."""
    shape = draw(st.sampled_from([(2, 3, 1), (3, 2, 1), (2, 3, 3), (8, 8, 1), (9, 9, 1)]))
    pixels = np.frombuffer(draw(st.binary(min_size=(size := int(np.prod(shape))), max_size=size)), np.uint8)
    pixels = pixels.reshape(shape)
    delivered = image_columns(pixels)
    match draw(st.integers(0, 9)):
        case 0:
            return {**delivered, "image_encoding": "png", "image": picture(pixels, "png")}
        case 1:
            return {**delivered, f"image_{draw(st.sampled_from(['height', 'width', 'channels']))}": draw(SIDES)}
        case 2:
            return {**delivered, "image": draw(st.none() | st.binary(max_size=20))}
        case 3:
            return {**delivered, "image_encoding": draw(st.sampled_from([None, "png", "raw ", "gif"]))}
        case _:
            return delivered


def tables(rows: list[dict[str, Any]], cuts: list[int]) -> pa.Table:
    """Return rows in chunks, each of them a slice."""
    whole = pa.Table.from_pylist([*rows, *rows], SCHEMA).slice(len(rows))
    ends = sorted({0, len(rows), *(cut % (len(rows) + 1) for cut in cuts)})
    pieces = [whole.slice(begin, end - begin) for begin, end in pairwise(ends)]
    return pa.concat_tables([SCHEMA.empty_table(), *pieces])


@pytest.mark.long
@given(
    st.lists(deliveries(), max_size=12),
    st.lists(st.integers(0, 12), max_size=3),
    st.sampled_from([{}, {"raw_height": 2, "raw_width": None}, {"pixels_at_most": 63}, {"channels": 3}]),
    st.sampled_from(["stretch", "pad"]),
)
def test_pictures_together_are_examined_as_each_by_itself(
    rows: list[dict[str, Any]], cuts: list[int], settings: dict[str, Any], rule: Any
) -> None:
    values = {"raw_height": None, "raw_width": None, "resize": rule, **settings}
    [spec] = specs({"image": image_feature((2, 3, 1), (8, 8), **values)})
    rules = Rules(
        spec.settings["channels"], pixels_at_most=spec.settings["pixels_at_most"], height=spec.settings["raw_height"]
    )
    table = tables(rows, cuts)
    delivered = image.raw_digests(spec, table)
    found = image.examine(spec, table, delivered)
    seen = image.prepare(spec, pa.table(found.columns))
    for number, row in enumerate(table.to_pylist()):
        height, width, channels = ((row[f"image_{side}"] or 0) for side in ("height", "width", "channels"))
        payload = row["image"] or b""
        assert delivered[number] == shape_digest(height, width, channels, payload)
        is_raw = row["image_encoding"] == "raw"
        alone = (
            of_raw(payload, (height, width, channels), rules)
            if is_raw
            else decoding.decode(payload, row["image_encoding"], rules)
        )
        if isinstance(alone, Refused):
            assert (found.reasons[number], found.details[number]) == alone
        else:
            assert (found.reasons[number], found.details[number]) == (None, None)
            assert found.held[number] == shape_digest(*alone.shape, alone.tobytes())
            assert np.array_equal(seen[number], resize(alone[None], 8, 8, rule)[0])


def test_only_arrays_that_are_pixels_as_they_stand_are_taken_together() -> None:
    one = image_columns(np.arange(6, dtype=np.uint8).reshape(2, 3, 1))
    other = image_columns(np.arange(8, dtype=np.uint8).reshape(4, 2, 1))
    cut = {**one, "image": one["image"][:-1]}
    table = pa.Table.from_pylist([one, other, cut, one, {**one, "image_channels": 3}], SCHEMA)
    sides = np.asarray(
        [[row[f"image_{side}"] for side in ("height", "width", "channels")] for row in table.to_pylist()]
    )
    is_raw = np.ones(5, np.bool_)
    found = {tuple(rows.tolist()): pixels for rows, pixels in usable_arrays(table["image"], is_raw, sides, Rules(1))}
    assert {rows: pixels.tobytes() for rows, pixels in found.items()} == {
        (0, 3): one["image"] * 2,
        (1,): other["image"],
    }
    assert [pixels.shape for pixels in found.values()] == [(2, 2, 3, 1), (1, 4, 2, 1)]
    is_raw[0] = False
    assert [rows.tolist() for rows, _ in usable_arrays(table["image"], is_raw, sides, Rules(1, pixels_at_most=6))] == [
        [3]
    ]


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 5000])
def test_a_digest_does_not_depend_on_how_its_bytes_are_hashed(size: int) -> None:
    import hashlib
    import struct

    payload = bytes(range(256)) * 20
    expected = hashlib.sha256(struct.pack(">3q", 1, size, 1) + payload[:size]).hexdigest()
    assert shape_digest(1, size, 1, memoryview(payload)[:size]) == expected
