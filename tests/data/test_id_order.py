"""However rows are divided into runs, and in whatever order they come: the shards are the same bytes."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data import id_order
from pipeline.data.id_order import RUNS, Run, Unordered, in_order, put_in_order, write_run
from pipeline.storage.shards import shard_name

SCHEMA = pa.schema([("id", pa.string()), ("x", pa.int32()), ("told", pa.string()), ("pixels", pa.binary(2))])
LEADING = [f"{key:016x}" for key in (0, 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1)]  # bounds, and what ids share


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_here(_: None, function: Any, tasks: Sequence[tuple[Any, int]], __: object) -> list[Any]:
        return [function(task) for task, _ in tasks]

    monkeypatch.setattr(id_order, "run_tasks", run_here)


def table(ids: Sequence[str]) -> pa.Table:
    """Return rows that say the same of each id, wherever it stands."""
    numbers = [int(row_id, 16) % 997 for row_id in ids]
    columns = [ids, numbers, ["é" * (number % 5) for number in numbers], [bytes(2) for _ in numbers]]
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)], SCHEMA)


def drawn(rows: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return [f"{draw.getrandbits(128):032x}" for _ in range(rows)]


def written(folder: Path, pieces: Sequence[Sequence[str]], rows_per_shard: int) -> dict[str, bytes]:
    """Write runs, put them in order, and return the shards' bytes by name."""
    runs = tuple(write_run(folder, number, table(piece)) for number, piece in enumerate(pieces))
    [entries] = put_in_order(None, [Unordered(folder, SCHEMA, runs, rows_per_shard)], print).values()  # type: ignore[arg-type]
    assert not (folder / RUNS).exists()
    assert sorted(path.name for path in folder.iterdir()) == [entry.path for entry in entries]
    return {entry.path: (folder / entry.path).read_bytes() for entry in entries}


IDS = st.one_of(
    st.integers(0, 2**128 - 1).map("{:032x}".format), st.sampled_from(LEADING).map(lambda key: key + "a" * 16)
)


@settings(deadline=None)
@given(st.lists(IDS, unique=True, max_size=40), st.lists(st.integers(0, 40), max_size=4), st.integers(1, 50))
def test_neither_the_order_of_the_rows_nor_the_runs_they_lie_in_make_a_difference(
    ids: list[str], cuts: list[int], rows_per_shard: int
) -> None:
    bounds = [0, *sorted(cuts), len(ids)]
    pieces = [ids[begin:end] for begin, end in pairwise(bounds)]
    with tempfile.TemporaryDirectory() as name:
        one, other = Path(name, "one"), Path(name, "other")
        found = written(one, pieces, rows_per_shard)
        assert found == written(other, [sorted(ids)], rows_per_shard)
        rows = [pq.read_table(one / name) for name in sorted(found)]
    assert pa.concat_tables([SCHEMA.empty_table(), *rows]) == table(sorted(ids))


def test_a_shard_has_about_as_many_rows_as_are_asked_for(tmp_path: Path) -> None:
    ids = drawn(20_000)
    found = written(tmp_path, [ids[:700], ids[700:]], 1000)
    assert list(found) == [shard_name(number) for number in range(20)]
    rows = [pq.read_metadata(tmp_path / name).num_rows for name in found]
    assert max(rows) < 1150
    assert min(rows) > 850


def test_ids_that_begin_alike_stand_in_order_too() -> None:
    ids = ["0" * 16 + f"{number:016x}" for number in (3, 1, 2)]
    assert in_order(table(ids))["id"].to_pylist() == sorted(ids)


def test_long_texts_make_more_shards_and_fewer_at_once() -> None:
    few = Unordered(Path(), SCHEMA, (Run("a", 100, 0, 4000), Run("b", 100, 0, 4000)), 10)
    assert (few.shards, few.shards_per_task) == (20, 8)
    long = Unordered(Path(), SCHEMA, (Run("a", 100, 2**30, 2**30), Run("b", 100, 2**30, 2**30)), 10)
    assert (long.shards, long.shards_per_task) == (64, 2)
    longer = Unordered(Path(), SCHEMA, (Run("a", 1, 2**30, 2**30),), 10)
    assert (longer.shards, longer.shards_per_task) == (32, 2)
    assert Unordered(Path(), SCHEMA, (), 10).shards == 0


def test_of_wide_rows_no_more_shards_are_made_at_once_than_a_task_can_hold(tmp_path: Path) -> None:
    """Those of weights of words: a shard of 128 MiB is made alone."""
    rows, width = 512, 20_000 * 4
    values = pa.Array.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(bytes(rows * width))])
    run = write_run(tmp_path, 0, pa.table({"id": drawn(rows), "words": values}))
    schema = pa.schema([("id", pa.string()), ("words", pa.binary(width))])
    assert Unordered(tmp_path, schema, (run,) * 30, 1677).shards_per_task == 1
    assert Unordered(tmp_path, schema, (run,) * 30, 400).shards_per_task == 2


def test_the_bytes_of_texts_are_counted_and_ids_and_numbers_are_not(tmp_path: Path) -> None:
    rows = table(drawn(9))
    expected = sum(len(text.encode()) for text in rows["told"].to_pylist())
    some, none = write_run(tmp_path, 3, rows), write_run(tmp_path, 4, rows.slice(0, 0))
    assert (some.name, some.rows, some.text_bytes) == ("00003.arrow", 9, expected)
    assert (none.name, none.rows, none.text_bytes) == ("00004.arrow", 0, 0)


def test_a_run_written_twice_is_the_same_file(tmp_path: Path) -> None:
    ids = drawn(50)
    write_run(tmp_path, 0, table(ids))
    before = (tmp_path / RUNS / "00000.arrow").read_bytes()
    np.random.default_rng(0).shuffle(ids)
    write_run(tmp_path, 0, table(ids))
    assert (tmp_path / RUNS / "00000.arrow").read_bytes() == before
    assert [path.name for path in (tmp_path / RUNS).iterdir()] == ["00000.arrow"]
