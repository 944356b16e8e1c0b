"""Processes shards on Spark: it distributes shard numbers, and the executors read and write the files themselves.

So payloads never pass through the JVM. Executors need the workspace under the same path as the driver: always the case
on one machine; on a cluster, the workspace must be on a file system that all of its machines mount.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import RatchetError, StorageError
from pipeline.records.manifest import FileEntry
from pipeline.storage import shards

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Task = TypeVar("Task")
Result = TypeVar("Result")

_POLL_S = 0.1
_ROUNDS = 16  # Spark tasks per slot: few enough to be cheap, many enough to balance the load and to show progress


def run_tasks(
    session: SparkSession,
    work: Callable[[Task], Result],
    tasks: Sequence[tuple[Task, int]],
    on_progress: Callable[[int, int], None],
    *,
    at_once: int | None = None,
) -> list[Result]:
    """Run `work(task)` for each `(task, rows)` on Spark's executors and return the results in the tasks' order.

    `on_progress(rows done, all rows)` is called in this thread while tasks finish. `work` and its results must be
    picklable. A task of Spark's own, which costs its JVM some 40 ms, has several of these tasks in a row: there are
    `at_once` of them, or (None) so many that a slot that is done sooner finds more.
    If tasks raise a RatchetError or an OSError (as StorageError), the first task's is raised here.
    """
    if not tasks:
        return []
    context = session.sparkContext
    total = sum(rows for _, rows in tasks)
    done = context.accumulator(0)

    def run(task_and_rows: tuple[Task, int]) -> tuple[Result | None, RatchetError | None]:
        task, rows = task_and_rows
        try:
            result = work(task)
        except RatchetError as error:
            return None, error  # not raised: Spark would retry, then bury it in a Java stack trace
        except OSError as error:
            return None, StorageError(f"{error.filename or 'data'}: cannot be read or written: {error.strerror}")
        done.add(rows)
        return result, None

    slots = context.defaultParallelism
    job = context.parallelize(tasks, min(len(tasks), at_once or _ROUNDS * slots)).map(run)
    with ThreadPoolExecutor(max_workers=1) as thread:
        outcome = thread.submit(job.collect)
        try:
            last = 0
            while wait([outcome], _POLL_S).not_done:
                if last < done.value < total:  # a task run twice counts twice
                    on_progress(last := done.value, total)
        except BaseException:
            context.cancelAllJobs()  # otherwise leaving the block would wait for the abandoned job
            raise
    pairs = outcome.result()
    for _, error in pairs:
        if error is not None:
            raise error
    on_progress(total, total)
    return [result for result, _ in pairs]


def publish_shard(
    folder: Path,
    number: int,
    schema: pa.Schema,
    tables: Iterable[pa.Table],
    *,
    is_compact: bool = False,
    repeated: Sequence[str] | None = None,
) -> FileEntry:
    """Write a shard so that killing the task, or running it twice, even at the same time, does no harm.

    Every attempt writes in a folder of its own and renames: the bytes are a function of the rows, so it does not matter
    which attempt comes last.
    """
    attempt = folder / f".attempt-{uuid.uuid4().hex}"
    attempt.mkdir(parents=True)
    try:
        entry = shards.write_shard(attempt, number, schema, tables, is_compact=is_compact, repeated=repeated)
        (attempt / entry.path).replace(folder / entry.path)
    finally:
        shutil.rmtree(attempt, ignore_errors=True)
    return entry


def sweep_attempts(folder: Path) -> None:
    """Remove what killed attempts left behind, so that only whole shards are published."""
    for attempt in folder.glob(".attempt-*"):
        shutil.rmtree(attempt)


def slices(table: pa.Table, rows: int) -> Iterator[pa.Table]:
    """Cut a table into pieces of `rows` rows."""
    for start in range(0, table.num_rows, rows):
        yield table.slice(start, rows)


def read_shard(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one whole shard. Ingest bounds the size of shards (see data/sources/rows.py), so it fits into memory."""
    tables = list(shards.iter_shard(path, columns))
    if tables:
        return pa.concat_tables(tables)
    schema = pq.read_schema(path)
    empty = schema.empty_table()
    return empty if columns is None else empty.select(list(columns))
