"""From clean rows of any encoding to fixed-size uint8 images, one folder per part, with grey-level statistics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipeline.data.decoding import decode_payloads
from pipeline.data.grey_levels import ChannelSums, image_sums, image_table
from pipeline.data.resizing import resize
from pipeline.data.shard_tasks import publish_shard, read_shard, run_tasks, slices, sweep_attempts
from pipeline.errors import DataError
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.records.statistics import STATISTICS_FILE
from pipeline.storage.manifests import read_manifest
from pipeline.storage.record_files import write_record
from pipeline.storage.shards import Shape, finish_dataset, image_schema, shard_name

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_BLOCK_BYTES = 16 * 2**20  # pixels made at a time


@dataclass(frozen=True)
class ShardToNormalize:
    """A shard of the clean data, and for each part the number of the shard that gets its rows of that part."""

    number: int
    number_in_part: Mapping[str, int]


@dataclass(frozen=True)
class NormalizedShard:
    """The result of normalizing a shard: by part, the written file, the rows by label, the sums of grey levels."""

    entries: dict[str, FileEntry]
    labels: dict[str, Counter[int]]
    sums: dict[str, ChannelSums]


def normalize_dataset(
    session: SparkSession,
    clean: Path,
    split: Path,
    prepared: Path,
    *,
    image: Shape,
    target: Shape,
    on_progress: Callable[[int, int], None],
) -> int:
    """Write the rows of `clean`, resized from `image` to `target`, to `prepared/<part>/`; return how many.

    The statistics of the training part go to `prepared/statistics.json`. Raises DataError if `split` does not list the
    shards of `clean`.
    """
    rows, parts = read_manifest(clean), read_manifest(split)
    if [(entry.path, entry.rows) for entry in rows.files] != [(entry.path, entry.rows) for entry in parts.files]:
        raise DataError(f"{split}: its shards are not those of {clean}; run stage split again")
    done = run_tasks(
        session,
        partial(normalize_shard, clean=clean, split=split, prepared=prepared, image=image, target=target),
        [(task, entry.rows) for task, entry in zip(_tasks(split, parts), parts.files, strict=True)],
        on_progress,
    )
    for part, by_class in parts.counts["classes"].items():
        _finish_part(prepared / part, part, done, target, list(by_class))
    training = [shard.sums["train"] for shard in done if "train" in shard.sums]
    write_record(prepared / STATISTICS_FILE, sum(training[1:], training[0]).statistics())
    return rows.rows


def normalize_shard(
    task: ShardToNormalize, clean: Path, split: Path, prepared: Path, image: Shape, target: Shape
) -> NormalizedShard:
    """Decode and resize one shard from `image` to `target`, and write its rows of each part to `prepared/<part>/`.

    Raises DataError if the shard of `split` does not name the same rows.
    """
    rows = read_shard(clean / shard_name(task.number), ["id", "label", "encoding", "payload"])
    parts = read_shard(split / shard_name(task.number))
    if not rows["id"].equals(parts["id"]):
        raise DataError(
            f"data/split/{shard_name(task.number)}: its rows are not those of data/clean; run stage split again"
        )
    part_of_row = np.asarray(parts["part"].to_pylist(), np.object_)
    result = NormalizedShard({}, {}, {})
    for part, number in task.number_in_part.items():
        chosen = rows.filter(pa.array(part_of_row == part))
        gathered: list[ChannelSums] = []
        result.entries[part] = publish_shard(
            prepared / part, number, image_schema(target), _normalized(chosen, image, target, gathered)
        )
        result.labels[part] = Counter(chosen["label"].to_pylist())
        result.sums[part] = sum(gathered[1:], gathered[0])
    return result


def _normalized(rows: pa.Table, image: Shape, target: Shape, gathered: list[ChannelSums]) -> Iterator[pa.Table]:
    block = max(1, _BLOCK_BYTES // max(int(np.prod(image)), int(np.prod(target))))
    for piece in slices(rows, block):
        pixels = resize(decode_payloads(piece, image), *target[:2])
        sums = image_sums(pixels)
        gathered.append(ChannelSums.of(sums))
        yield image_table(piece["id"], piece["label"], pixels, sums)


def _tasks(split: Path, parts: Manifest) -> list[ShardToNormalize]:
    """Number each part's shards without gaps: a shard of `data/clean` need not have rows of every part."""
    used: Counter[str] = Counter()
    tasks = []
    for number, entry in enumerate(parts.files):
        present = sorted(set(read_shard(split / entry.path, ["part"])["part"].to_pylist()))
        tasks.append(ShardToNormalize(number, {part: used[part] for part in present}))
        used.update(present)
    return tasks


def _finish_part(folder: Path, part: str, done: list[NormalizedShard], target: Shape, classes: list[str]) -> None:
    sweep_attempts(folder)
    entries = [shard.entries[part] for shard in done if part in shard.entries]
    labels: Counter[int] = Counter()
    for shard in done:
        labels.update(shard.labels.get(part, {}))
    counts = {"classes": {name: labels[label] for label, name in enumerate(classes)}}
    finish_dataset(folder, entries, image_schema(target), shape=target, counts=counts)
