"""Data sets in the order of their rows' ids: what they hold decides their bytes, and not how a source ordered its rows.

Each task sorts what it has made and leaves it as a file, a run. Then the range of ids is divided evenly, as ids are
digests: a shard gets its interval's rows out of all runs. So there are as many shards as the rows need, whatever
the tasks were.
"""

from __future__ import annotations

import shutil
import uuid
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.row_digests import leading_bits
from pipeline.data.shard_tasks import publish_shard, run_tasks
from pipeline.data.source_rows import BYTES_PER_SHARD
from pipeline.records.manifest import FileEntry

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RUNS = ".runs"  # a folder in the data set, until it is published
_KEYS = 2**64  # of an id, its first 64 bits
_SHARDS_PER_TASK = 8  # each task opens every run
_BYTES_PER_TASK = 64 * 2**20


@dataclass(frozen=True)
class Run:
    """A file of rows in the order of their ids, and how many bytes their texts take together, and all they hold."""

    name: str
    rows: int
    text_bytes: int
    size_bytes: int


@dataclass(frozen=True)
class Unordered:
    """A data set whose rows lie in runs, of which at most `rows_per_shard` are to be in a shard, or nearly so."""

    folder: Path
    schema: pa.Schema
    runs: tuple[Run, ...]
    rows_per_shard: int

    @property
    def shards(self) -> int:
        """How many shards it gets: it depends on its rows alone."""
        return max(-(-self.rows // self.rows_per_shard), -(-self.text_bytes // BYTES_PER_SHARD))

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(run.rows for run in self.runs)

    @property
    def text_bytes(self) -> int:
        """How many bytes its texts take."""
        return sum(run.text_bytes for run in self.runs)

    @property
    def shards_per_task(self) -> int:
        """How many shards are made at once: no more than fill _BYTES_PER_TASK, if that is not one alone."""
        size_bytes = sum(run.size_bytes for run in self.runs)
        most = _BYTES_PER_TASK * self.shards // max(1, size_bytes)
        return max(1, min(_SHARDS_PER_TASK, most))


@dataclass(frozen=True)
class _Interval:
    """The shards from `first` to before `end` of a data set."""

    of: Unordered
    first: int
    end: int


def write_run(folder: Path, number: int, table: pa.Table) -> Run:
    """Leave a table's rows, which have ids, for `put_in_order`; a task that runs twice writes the same."""
    runs = folder / RUNS
    runs.mkdir(parents=True, exist_ok=True)
    ordered = in_order(table)
    name, attempt = f"{number:05d}.arrow", runs / f".attempt-{uuid.uuid4().hex}"
    with pa.OSFile(str(attempt), "wb") as sink, pa.ipc.new_file(sink, ordered.schema) as writer:
        writer.write_table(ordered)
    attempt.replace(runs / name)
    return Run(name, table.num_rows, _text_bytes(table), ordered.nbytes)


def in_order(table: pa.Table) -> pa.Table:
    """Return a table's rows in the order of their ids, as one chunk."""
    keys = leading_bits(table["id"])
    places = np.argsort(keys)
    is_shared = keys[places[1:]] == keys[places[:-1]]
    of_rows = pc.sort_indices(table["id"]) if is_shared.any() else pa.array(places)
    return table.combine_chunks().take(of_rows).combine_chunks()


def put_in_order(
    session: SparkSession, data_sets: Iterable[Unordered], on_progress: Callable[[int, int], None]
) -> dict[Path, list[FileEntry]]:
    """Write the shards of data sets, and return by folder the entries for its manifest. The runs are gone then."""
    every = list(data_sets)
    tasks = [task for data_set in every for task in _tasks(data_set)]
    done = run_tasks(session, merge, tasks, on_progress)
    entries: dict[Path, list[FileEntry]] = {data_set.folder: [] for data_set in every}
    for (task, _), found in zip(tasks, done, strict=True):
        entries[task.of.folder] += found
    for folder in entries:
        if (folder / RUNS).exists():  # it has rows
            shutil.rmtree(folder / RUNS)
    return entries


def merge(task: _Interval) -> list[FileEntry]:
    """Write some consecutive shards of a data set from its runs."""
    low, high = (_bound(number, task.of.shards) for number in (task.first, task.end))
    pieces = [_between(task.of.folder / RUNS / run.name, low, high) for run in task.of.runs if run.rows]
    rows = in_order(pa.concat_tables([task.of.schema.empty_table(), *pieces]))
    bounds = np.array([_bound(number, task.of.shards) for number in range(task.first + 1, task.end)], np.uint64)
    cuts = [0, *np.searchsorted(leading_bits(rows["id"]), bounds).tolist(), rows.num_rows]
    return [
        publish_shard(task.of.folder, task.first + n, task.of.schema, [rows.slice(cuts[n], cuts[n + 1] - cuts[n])])
        for n in range(task.end - task.first)
    ]


def _tasks(data_set: Unordered) -> Iterator[tuple[_Interval, int]]:
    shards, at_once = data_set.shards, data_set.shards_per_task
    for first in range(0, shards, at_once):
        end = min(first + at_once, shards)
        yield _Interval(data_set, first, end), data_set.rows * (end - first) // shards


def _bound(number: int, shards: int) -> int:
    """Return the lowest key of a shard."""
    return -(-number * _KEYS // shards)


def _between(path: Path, low: int, high: int) -> pa.Table:
    """Return the rows of a run whose keys are from `low` to before `high`, from a memory map."""
    with pa.memory_map(str(path)) as source:
        rows = pa.ipc.open_file(source).read_all()
    ids = rows["id"]
    first, end = (
        rows.num_rows
        if key >= _KEYS
        else bisect_left(range(rows.num_rows), f"{key:016x}", key=lambda n: ids[n].as_py())
        for key in (low, high)
    )
    return rows.slice(first, end - first)


def _text_bytes(table: pa.Table) -> int:
    """Return how many bytes texts take: the same, however rows are divided."""
    texts = (table[field.name] for field in table.schema if pa.types.is_string(field.type) and field.name != "id")
    lengths: Iterator[int | None] = (pc.sum(pc.binary_length(text)).as_py() for text in texts)
    return sum(length or 0 for length in lengths)
