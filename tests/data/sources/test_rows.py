"""Ids and shards of raw rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.sources import rows as raw_rows
from pipeline.data.source_rows import SOURCE_SCHEMA, raw_shards
from pipeline.storage import shards


def source_table(payloads: list[bytes], labels: list[int]) -> pa.Table:
    count = len(payloads)
    columns = {
        "label": pa.array(labels, pa.int32()),
        "part": pa.repeat("train", count),
        "source": pa.repeat("file", count),
        "row": np.arange(count),
        "height": np.ones(count, np.int32),
        "width": np.array([len(payload) for payload in payloads], np.int32),
        "channels": np.ones(count, np.int32),
        "encoding": pa.repeat("raw", count),
        "payload": pa.array(payloads, pa.binary()),
    }
    return pa.table({name: columns[name] for name in SOURCE_SCHEMA.names}, SOURCE_SCHEMA)


contents = st.lists(st.tuples(st.binary(max_size=2), st.integers(0, 1)), min_size=1, max_size=12)


def named(content: list[tuple[bytes, int]]) -> list[str]:
    table = source_table([payload for payload, _ in content], [label for _, label in content])
    return pa.concat_tables(raw_shards([table]))["id"].to_pylist()


@given(contents)
def test_ids_are_unique_even_of_equal_rows(content):
    ids = named(content)

    assert len(set(ids)) == len(ids)
    assert all(len(row_id) == 32 for row_id in ids)


@given(contents, st.randoms())
def test_ids_do_not_change_with_the_order_of_rows_nor_with_rows_added(content, random):
    shuffled = list(content)
    random.shuffle(shuffled)

    assert sorted(zip(shuffled, named(shuffled), strict=True)) == sorted(zip(content, named(content), strict=True))
    assert set(named(content)) <= set(named([*shuffled, (b"\1\2\3", 0)]))


@given(contents, st.integers(1, 5), st.integers(1, 8), st.integers(1, 12))
def test_shards_hold_the_same_however_the_source_cuts_its_tables(content, rows, size_bytes, cut):
    table = source_table([payload for payload, _ in content], [label for _, label in content])
    pieces = [table.slice(start, cut) for start in range(0, table.num_rows, cut)]
    limits = raw_rows.ROWS_PER_SHARD, raw_rows.BYTES_PER_SHARD
    raw_rows.ROWS_PER_SHARD, raw_rows.BYTES_PER_SHARD = rows, size_bytes
    try:
        whole, cut_up = list(raw_shards([table])), list(raw_shards(pieces))
    finally:
        raw_rows.ROWS_PER_SHARD, raw_rows.BYTES_PER_SHARD = limits

    assert [shard.to_pylist() for shard in whole] == [shard.to_pylist() for shard in cut_up]
    assert pa.concat_tables(whole).drop_columns(["id", "payload_digest"]).to_pylist() == table.to_pylist()
    assert all(shard.num_rows <= rows for shard in whole)
    assert all(sum(map(len, shard["payload"].to_pylist())) <= size_bytes or shard.num_rows == 1 for shard in whole)
    assert whole[0].schema == shards.RAW_SCHEMA
