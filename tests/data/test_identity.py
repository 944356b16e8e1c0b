"""Digests of payloads, and ids: functions of the content, never of its place."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipeline.data.identity import RowNames, payload_digests, payload_views, shape_digest


def table(*payloads: bytes | None, height: int = 2, width: int = 3) -> pa.Table:
    rows = len(payloads)
    shape = {"height": height, "width": width, "channels": 1}
    columns = {name: pa.array(np.full(rows, size, np.int32)) for name, size in shape.items()}
    return pa.table({**columns, "payload": pa.array(payloads, pa.binary())})


def test_a_slice_of_a_table_takes_its_own_payloads():
    whole = table(*(bytes([n] * 6) for n in range(5)))

    assert payload_digests(whole.slice(2, 3)) == payload_digests(whole)[2:]


def test_a_null_is_the_empty_payload():
    assert payload_digests(table(None)) == payload_digests(table(b"")) == [shape_digest(2, 3, 1, b"")]


def test_payloads_are_seen_across_chunks_without_a_copy():
    column = pa.chunked_array([pa.array([b"ab", None], pa.binary()), pa.array([], pa.binary()), pa.array([b"c"])])

    assert [bytes(view) for view in payload_views(column)] == [b"ab", b"", b"c"]


@pytest.mark.parametrize("shape", [(3, 2, 1), (6, 1, 1), (1, 2, 3)])
def test_the_same_bytes_in_another_shape_are_another_image(shape):
    assert shape_digest(*shape, bytes(6)) != shape_digest(2, 3, 1, bytes(6))


def test_equal_rows_are_counted_and_part_and_label_are_of_the_name():
    first, second, other_label, other_part = RowNames().names(
        ["train", "train", "train", "test"], [0, 0, 1, 0], ["d"] * 4
    )

    assert len({first, second, other_label, other_part}) == 4


def test_a_row_is_named_alike_in_whatever_batch_it_comes():
    at_once, one_by_one = RowNames(), RowNames()

    assert at_once.names(["train"] * 3, [0] * 3, ["d"] * 3) == [
        one_by_one.names(["train"], [0], ["d"])[0] for _ in range(3)
    ]
