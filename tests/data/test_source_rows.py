"""Ids and shards of raw rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data import source_rows
from pipeline.data.feature_kinds import raw_schema, source_schema
from pipeline.data.source_rows import Source, raw_shards, require_delivered, rows_at_once
from pipeline.errors import DataError
from tests.data.given import image_specs

FEATURES = image_specs()


def source_table(payloads: list[bytes], labels: list[int]) -> pa.Table:
    count = len(payloads)
    columns = {
        "label": pa.array(labels, pa.int32()),
        "part": pa.repeat("train", count),
        "source": pa.repeat("file", count),
        "row": np.arange(count),
        "image_height": np.ones(count, np.int32),
        "image_width": np.array([len(payload) for payload in payloads], np.int32),
        "image_channels": np.ones(count, np.int32),
        "problem": pa.nulls(count, pa.string()),
        "detail": pa.nulls(count, pa.string()),
        "image_mode": pa.repeat("L", count),
        "image_encoding": pa.repeat("raw", count),
        "image": pa.array(payloads, pa.binary()),
    }
    return pa.table(columns, source_schema(FEATURES))


contents = st.lists(st.tuples(st.binary(max_size=2), st.integers(0, 1)), min_size=1, max_size=12)


def named(content: list[tuple[bytes, int]]) -> list[str]:
    table = source_table([payload for payload, _ in content], [label for _, label in content])
    return pa.concat_tables(raw_shards([table], FEATURES))["id"].to_pylist()


@given(contents)
def test_ids_are_unique_even_of_equal_rows(content):
    ids = named(content)

    assert len(set(ids)) == len(ids)
    assert all(len(row_id) == 32 for row_id in ids)


@pytest.mark.long
@given(contents, st.randoms())
def test_ids_do_not_change_with_the_order_of_rows_nor_with_rows_added(content, random):
    shuffled = list(content)
    random.shuffle(shuffled)

    assert sorted(zip(shuffled, named(shuffled), strict=True)) == sorted(zip(content, named(content), strict=True))
    assert set(named(content)) <= set(named([*shuffled, (b"\1\2\3", 0)]))


def test_a_row_of_one_image_has_the_id_and_the_digest_it_has_always_had():
    [row] = pa.concat_tables(raw_shards([source_table([b"\1\2"], [5])], FEATURES)).to_pylist()

    assert row["id"] == "29e4fd0b896d798f8f8ec68906c0fc2d"
    assert row["content_digest"] == "91975d70f9b44507e4ca1104bfc3e770e9ef870f6f7bc88b1ca7093a07243680"


@pytest.mark.long
@given(contents, st.integers(1, 5), st.integers(1, 8), st.integers(1, 12))
def test_shards_hold_the_same_however_the_source_cuts_its_tables(content, rows, size_bytes, cut):
    table = source_table([payload for payload, _ in content], [label for _, label in content])
    pieces = [table.slice(start, cut) for start in range(0, table.num_rows, cut)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source_rows, "ROWS_PER_SHARD", rows)
        patch.setattr(source_rows, "MOST_ROWS_PER_SHARD", rows)
        patch.setattr(source_rows, "BYTES_PER_SHARD", size_bytes)
        whole, cut_up = list(raw_shards([table], FEATURES)), list(raw_shards(pieces, FEATURES))

    assert [shard.to_pylist() for shard in whole] == [shard.to_pylist() for shard in cut_up]
    assert pa.concat_tables(whole).drop_columns(["id", "content_digest"]).to_pylist() == table.to_pylist()
    assert all(shard.num_rows <= rows for shard in whole)
    assert all(sum(map(len, shard["image"].to_pylist())) <= size_bytes or shard.num_rows == 1 for shard in whole)
    assert whole[0].schema == raw_schema(FEATURES)


def test_a_source_that_delivers_no_problems_has_none():
    table = source_table([b"x"], [0])

    [shard] = raw_shards([table.drop_columns(["problem", "detail"])], FEATURES)

    assert shard.equals(next(raw_shards([table], FEATURES)))


def test_a_shard_holds_no_more_rows_than_are_bounded_when_they_are_decoded(monkeypatch):
    monkeypatch.setattr(source_rows, "CLEAN_BYTES_PER_SHARD", 3 * 64)
    table = source_table([bytes([n]) for n in range(8)], [0] * 8)

    assert [shard.num_rows for shard in raw_shards([table], FEATURES)] == [3, 3, 2]


@pytest.mark.parametrize(("small_bytes", "most", "rows"), [(0, 9, 4), (5 * 64, 9, 5), (7 * 64, 9, 7), (7 * 64, 6, 6)])
def test_of_small_rows_a_shard_has_as_many_as_fill_it_within_bounds(monkeypatch, small_bytes, most, rows):
    monkeypatch.setattr(source_rows, "ROWS_PER_SHARD", 4)
    monkeypatch.setattr(source_rows, "MOST_ROWS_PER_SHARD", most)
    monkeypatch.setattr(source_rows, "SMALL_BYTES_PER_SHARD", small_bytes)
    table = source_table([bytes([n]) for n in range(8)], [0] * 8)

    assert next(raw_shards([table], FEATURES)).num_rows == rows
    assert next(raw_shards([table], FEATURES, small_rows=1)).num_rows == 4


def test_rows_without_a_label_and_rows_with_a_problem_are_named_as_others_are():
    table = source_table([b"x", b"", b""], [0, 0, 0])
    labels = table.set_column(0, "label", pa.array([None, None, None], pa.int32()))

    ids = pa.concat_tables(raw_shards([labels], FEATURES))["id"].to_pylist()

    assert len(set(ids)) == 3


def test_what_no_feature_of_the_recipe_needs_is_left():
    more = source_table([b"x"], [0]).append_column("weight", pa.array([1.5]))

    [shard] = raw_shards([more], FEATURES)

    assert shard.schema == raw_schema(FEATURES)


def test_a_column_that_is_not_delivered_or_is_of_another_type_is_named():
    table = source_table([b"x"], [0])

    with pytest.raises(DataError, match=r"data\.source: delivers no column 'image_width'"):
        list(raw_shards([table.drop_columns(["image_width"])], FEATURES))
    words = table.set_column(0, "label", pa.array(["boot"]))
    with pytest.raises(DataError, match=r"data\.source: delivers a column of another type"):
        list(raw_shards([words], FEATURES))


def test_a_source_that_delivers_other_rows_than_it_declared_is_refused():
    require_delivered(Source(rows=3, tables=()), 3)
    with pytest.raises(DataError, match=r"data\.source: declared 3 rows and delivered 2"):
        require_delivered(Source(rows=3, tables=()), 2)


def test_as_many_rows_are_read_at_once_as_make_a_shard():
    assert [rows_at_once(size) for size in (0, 1, 8192, 8193, 2**20, 2**25, 2**26)] == [
        4096,
        4096,
        4096,
        4095,
        32,
        1,
        1,
    ]
