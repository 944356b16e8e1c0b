"""Payloads of a binary column, as views."""

from __future__ import annotations

import pyarrow as pa

from pipeline.data.payloads import payload_views


def test_payloads_are_seen_across_chunks_without_a_copy():
    column = pa.chunked_array([pa.array([b"ab", None], pa.binary()), pa.array([], pa.binary()), pa.array([b"c"])])

    assert [bytes(view) for view in payload_views(column)] == [b"ab", b"", b"c"]


def test_a_slice_has_its_own_payloads():
    column = pa.chunked_array([pa.array([b"a", b"bc", b"def"])])

    assert [bytes(view) for view in payload_views(column.slice(1, 2))] == [b"bc", b"def"]
