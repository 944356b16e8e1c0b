"""Scoring a whole source: shards are read one after the other, and scored by Spark's workers meanwhile.

All of it stands in a folder beside the output, `.OUTPUT.scoring`, which is moved to its place when it is whole:

    lock                  held by the process that scores
    job.json              what is scored by what; what another job has left is removed
    raw/part-00003.parquet        a shard that is being scored
    done/00003.json               what became of a shard: written last, so that what it names is whole
    output/part-00003.parquet     its answers
    output/rejected/…             its rows without one

Killed at any time, a scoring goes on where it was. The source is read again, as only that tells whether it is the same;
a shard whose rows are those of then is not scored again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipeline.data.cleaning import quarantine_schema
from pipeline.data.shard_tasks import publish_shard, run_tasks, sweep_attempts
from pipeline.data.source_rows import BYTES_PER_SHARD
from pipeline.errors import DataError, StorageError, TryAgain, UsageError
from pipeline.records.manifest import MANIFEST_FILE, Manifest
from pipeline.records.scored_shard import ScoredShard, ScoringJob
from pipeline.scoring.accounting import Account, rows_read
from pipeline.scoring.asking import answering
from pipeline.scoring.model import ScoringModel
from pipeline.scoring.rows import divided, repeated_columns, scored_schema
from pipeline.storage import artifacts
from pipeline.storage.manifests import read_manifest, verify_file
from pipeline.storage.record_files import find_record, write_record
from pipeline.storage.row_columns import RowColumns
from pipeline.storage.shards import finish_dataset, read_passing_shard, shard_name, write_passing_shard

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REJECTED = "rejected"
_JOB_FILE, _LOCK = "job.json", "lock"
_WAVES = 2  # at work at a time, so that no worker waits for the last shard of a wave
_SHARDS_PER_SLOT = 16  # of a wave, at most: what Spark does for a task is shared by so many
_SLOT_S = 8.0  # that a slot is to have of a wave: of shards that take longer, one
_BYTES_PER_SLOT = 2 * BYTES_PER_SHARD  # of raw rows, that lie on the disk for a wave
_OF_ROWS = ("id", "source", "row", "problem", "detail", "content_digest")


@dataclass(frozen=True)
class Aside:
    """The folder in which an output comes about."""

    folder: Path

    @classmethod
    def of(cls, output: Path) -> Aside:
        """Return that of an output: a hidden folder beside it, on the same disk."""
        return cls(output.with_name(f".{output.name}.scoring"))

    @property
    def raw(self) -> Path:
        """Shards that are being scored."""
        return self.folder / "raw"

    @property
    def output(self) -> Path:
        """What is moved to the output's place."""
        return self.folder / "output"

    @property
    def rejected(self) -> Path:
        """The rows without an answer."""
        return self.output / REJECTED

    def done(self, number: int) -> Path:
        """Return the file that says what became of a shard."""
        return self.folder / "done" / f"{number:05d}.json"


@dataclass(frozen=True)
class ShardToScore:
    """A shard's number, and the digest of its rows."""

    number: int
    read: str


@contextmanager
def held(output: Path) -> Iterator[Aside]:
    """Hold the folder in which an output comes about; raise TryAgain if another process does, StorageError if none can.

    It is there afterwards if something was begun and is not published.
    """
    from filelock import FileLock, Timeout

    aside = Aside.of(output)
    try:
        aside.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(aside.folder / _LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise TryAgain(f"{output}: another process is scoring to it; wait for that one") from error
    except OSError as error:
        raise StorageError(f"{output}: cannot be written: {error.strerror}") from error
    try:
        yield aside
    finally:
        lock.release()
        if aside.folder.is_dir() and not (aside.folder / _JOB_FILE).is_file():
            shutil.rmtree(aside.folder)  # nothing was begun


def begin(aside: Aside, job: ScoringJob) -> None:
    """Keep what an earlier process has finished of the same job; remove what is left of any other."""
    path = aside.folder / _JOB_FILE
    try:
        is_same = find_record(path, ScoringJob) == job
    except DataError:  # of another Ratchet
        is_same = False
    if not is_same:
        for folder in (aside.output, aside.done(0).parent):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in (aside.raw, aside.output, aside.rejected, aside.done(0).parent):
        folder.mkdir(parents=True, exist_ok=True)
    write_record(path, job)


def score_shards(
    session: SparkSession,
    aside: Aside,
    shards: Iterable[pa.Table],
    model: ScoringModel,
    own: RowColumns,
    on_progress: Callable[[int], None],
) -> list[ScoredShard]:
    """Have each shard of raw rows scored that is not done yet; return what became of all, in their order.

    `on_progress` gets how many rows are done. A few shards lie on the disk at a time: of a wave one for each slot, or
    more once it is known that they take little time.
    """
    work = partial(score_shard, aside=aside, model=model, own=own)
    found: list[ScoredShard | None] = []
    waves: list[tuple[Future[list[ScoredShard]], list[ShardToScore]]] = []
    slots = session.sparkContext.defaultParallelism
    wave: list[tuple[ShardToScore, int]] = []
    per_slot, done_rows = 1, 0
    begun_s, scored_shards, wave_bytes = time.monotonic(), 0, 0

    def settle() -> None:
        nonlocal done_rows, scored_shards, per_slot
        outcome, tasks = waves.pop(0)
        for task, result in zip(tasks, outcome.result(), strict=True):
            found[task.number] = result
            done_rows += result.rows
            (aside.raw / shard_name(task.number)).unlink(missing_ok=True)
        scored_shards += len(tasks)
        per_slot = shards_per_slot((time.monotonic() - begun_s) * slots / scored_shards)
        on_progress(done_rows)

    with ThreadPoolExecutor(_WAVES) as pool:

        def send() -> None:
            nonlocal wave_bytes
            if wave:
                if len(waves) == _WAVES:
                    settle()
                outcome = pool.submit(run_tasks, session, work, [*wave], _nobody, at_once=slots)
                waves.append((outcome, [task for task, _ in wave]))
                wave.clear()
                wave_bytes = 0

        try:
            for number, table in enumerate(shards):
                task = ShardToScore(number, digest_of_rows(table))
                result = find_done(aside, task)
                found.append(result)
                if result is None:
                    write_passing_shard(aside.raw, number, table)
                    wave.append((task, table.num_rows))
                    wave_bytes += table.nbytes
                else:
                    done_rows += result.rows
                if len(wave) >= slots * per_slot or wave_bytes > slots * _BYTES_PER_SLOT:
                    send()
            send()
            while waves:
                settle()
        except BaseException:
            session.sparkContext.cancelAllJobs()  # otherwise leaving the block would wait for them
            raise
    return [result for result in found if result is not None]


def shards_per_slot(shard_s: float) -> int:
    """Return how many shards of a wave a slot is to have that takes so long for one."""
    return max(1, min(_SHARDS_PER_SLOT, int(_SLOT_S / max(shard_s, 0.001))))


def score_shard(task: ShardToScore, aside: Aside, model: ScoringModel, own: RowColumns) -> ScoredShard:
    """Score one shard: write its answers and its rejected rows, then what became of it."""
    table = read_passing_shard(aside.raw / shard_name(task.number))
    rows = divided(table, model, own, answering(model.saved_model))
    scored = rejected = None
    if rows.scored.num_rows:
        schema = scored_schema(model, own)
        scored = publish_shard(
            aside.output, task.number, schema, [rows.scored], is_compact=True, repeated=repeated_columns(schema)
        )
    if rows.rejected.num_rows:
        rejected = publish_shard(aside.rejected, task.number, quarantine_schema(model.features, own), [rows.rejected])
    result = ScoredShard(
        read=task.read,
        rows=table.num_rows,
        scored=scored,
        rejected=rejected,
        reasons=rows.reasons,
        predictions=rows.predictions if model.classes else {},
    )
    write_record(aside.done(task.number), result)
    return result


def digest_of_rows(table: pa.Table) -> str:
    """Return a digest of a shard's raw rows: which they are, where they stand, and what they hold.

    Of each column the name, which rows have a value, how long texts are, and the values: Arrow's own bytes, so that
    nothing is made of each row.
    """
    digest = hashlib.sha256(str(table.num_rows).encode())
    for name in _OF_ROWS:
        column = table[name].combine_chunks()
        digest.update(f"\0{name}\0".encode())
        digest.update(column.is_valid().to_numpy(zero_copy_only=False))
        if pa.types.is_string(column.type):
            texts = column.fill_null("")
            _, offsets, content = texts.buffers()
            ends = np.frombuffer(offsets, np.int32, len(texts) + 1, 4 * texts.offset)
            digest.update(np.diff(ends).tobytes())
            digest.update(memoryview(content or b"")[ends[0] : ends[-1]])
        else:
            digest.update(column.fill_null(0).to_numpy())
    return f"sha256:{digest.hexdigest()}"


def find_done(aside: Aside, task: ShardToScore) -> ScoredShard | None:
    """Return what became of a shard, if it had the same rows and its files are whole; None otherwise."""
    try:
        result = find_record(aside.done(task.number), ScoredShard)
        if result is None or result.read != task.read:
            return None
        for folder, entry in ((aside.output, result.scored), (aside.rejected, result.rejected)):
            if entry is not None:
                verify_file(folder, entry)
    except DataError:
        return None
    return result


def publish(aside: Aside, output: Path, shards: Sequence[ScoredShard], model: ScoringModel, own: RowColumns,
            account: Account, job: ScoringJob) -> Manifest:  # fmt: skip
    """Write the manifests, that of the output last, and move all to its place."""
    scored, rejected = ([each for shard in shards if (each := getattr(shard, name))] for name in ("scored", "rejected"))
    for folder, entries in ((aside.output, scored), (aside.rejected, rejected)):
        sweep_attempts(folder)
        named = {entry.path for entry in entries}
        for path in folder.glob("*.parquet"):  # of an input that had more rows when it was begun
            if path.name not in named:
                path.unlink()
        for entry in entries:
            _fsync(folder / entry.path)
    finish_dataset(
        aside.rejected, rejected, quarantine_schema(model.features, own), counts={"rejected": account.reasons}
    )
    counts = {
        "in": account.rows,
        "scored": account.scored,
        "rejected": account.rejected,
        "reasons": account.reasons,
        "predictions": account.predictions,
        "model": model.to_json(),
        "decides": job.decides,
        "read": account.read,
    }
    manifest = finish_dataset(aside.output, scored, scored_schema(model, own), counts=counts)
    artifacts.fsync_folder(aside.output)
    try:
        if output.is_dir():
            output.rmdir()  # empty, or refused
        aside.output.rename(output)
        artifacts.fsync_folder(output.parent)
        shutil.rmtree(aside.folder)
    except OSError as error:
        raise StorageError(f"{output}: cannot be written: {error.strerror}") from error
    return manifest


def find_published(output: Path, job: ScoringJob) -> Manifest | None:
    """Return the manifest of an output that is there and of the same job; None if there is none.

    Raises UsageError if something else stands there: nothing is written over.
    """
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return None
    if not (output / MANIFEST_FILE).is_file():
        raise UsageError(f"{output}: holds something that is no scores; name another folder")
    manifest = read_manifest(output)
    read_manifest(output / REJECTED)
    if manifest.counts.get("decides") != job.decides:
        by = manifest.counts.get("model", {})
        raise UsageError(
            f"{output}: holds scores by {by.get('name')} v{by.get('version')}, or read otherwise; name another folder, "
            "or remove it"
        )
    return manifest


def require_same_rows(output: Path, manifest: Manifest, shards: Iterable[pa.Table]) -> None:
    """Raise UsageError unless a published output is of these rows."""
    if rows_read([digest_of_rows(table) for table in shards]) != manifest.counts.get("read"):
        raise UsageError(
            f"{output}: holds scores of other rows: the input has changed; name another folder, or remove it"
        )


def _nobody(_done: int, _total: int) -> None:
    """Hear of a wave's progress: it is told when a wave has ended."""


def _fsync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
