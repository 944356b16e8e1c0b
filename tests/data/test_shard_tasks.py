"""Shards are published whole, whichever attempt comes last. Spark hands the tasks out: tests/system."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.data.shard_tasks import publish_shard, read_shard, slices, sweep_attempts
from pipeline.storage.shards import shard_name

SCHEMA = pa.schema([("id", pa.string()), ("label", pa.int32())])
ROWS = pa.table({"id": ["a", "b", "c"], "label": pa.array([0, 1, 2], pa.int32())}, SCHEMA)


def test_a_shard_comes_back_as_it_was_written(tmp_path: Path):
    entry = publish_shard(tmp_path, 3, SCHEMA, [ROWS.slice(0, 1), ROWS.slice(1)])

    assert (entry.path, entry.rows) == (shard_name(3), 3)
    assert read_shard(tmp_path / shard_name(3)).equals(ROWS)
    assert read_shard(tmp_path / shard_name(3), ["label"]).column_names == ["label"]


def test_a_task_that_runs_twice_leaves_the_same_shard_and_nothing_else(tmp_path: Path):
    first = publish_shard(tmp_path, 0, SCHEMA, [ROWS])
    content = (tmp_path / shard_name(0)).read_bytes()

    assert publish_shard(tmp_path, 0, SCHEMA, [ROWS]) == first
    assert (tmp_path / shard_name(0)).read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == [shard_name(0)]


def test_an_attempt_that_fails_publishes_nothing(tmp_path: Path):
    def broken():
        yield ROWS
        raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        publish_shard(tmp_path, 0, SCHEMA, broken())

    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_attempt_left_is_swept_and_shards_stay(tmp_path: Path):
    publish_shard(tmp_path, 0, SCHEMA, [ROWS])
    (tmp_path / ".attempt-killed").mkdir()
    (tmp_path / ".attempt-killed" / shard_name(1)).write_bytes(b"half")

    sweep_attempts(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == [shard_name(0)]


def test_a_shard_without_rows_has_its_columns(tmp_path: Path):
    publish_shard(tmp_path, 0, SCHEMA, [])

    assert read_shard(tmp_path / shard_name(0)).schema.names == ["id", "label"]
    assert read_shard(tmp_path / shard_name(0), ["id"]).schema.names == ["id"]


@pytest.mark.parametrize("rows", [1, 2, 3, 9])
def test_slices_are_the_whole_table_in_order(rows: int):
    pieces = list(slices(ROWS, rows))

    assert pa.concat_tables(pieces).equals(ROWS)
    assert max(piece.num_rows for piece in pieces) <= rows
