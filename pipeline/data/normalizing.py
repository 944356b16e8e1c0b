"""From clean rows to prepared ones, fixed in size, one folder per part. Only the training part is fitted on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.data.feature_kinds import Specs, clean_names, fitted, prepare, prepared_table, working_bytes
from pipeline.data.shard_tasks import publish_shard, read_shard, run_tasks, slices, sweep_attempts
from pipeline.errors import DataError
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.storage.manifests import read_manifest
from pipeline.storage.shards import finish_dataset, prepared_schema, shard_name

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_BLOCK_BYTES = 16 * 2**20  # prepared at a time


@dataclass(frozen=True)
class ShardToNormalize:
    """A shard of the clean data, and for each part the number of the shard that gets its rows of that part."""

    number: int
    number_in_part: Mapping[str, int]


@dataclass(frozen=True)
class NormalizedShard:
    """The result of normalizing a shard: by part, the written file, the rows by label, and what fitting needs."""

    entries: dict[str, FileEntry]
    labels: dict[str, Counter[int]]
    partials: dict[str, list[dict[str, Any]]]  # one for each piece of the shard, by feature


def normalize_dataset(
    session: SparkSession,
    clean: Path,
    split: Path,
    prepared: Path,
    *,
    features: Specs,
    on_progress: Callable[[int, int], None],
) -> int:
    """Write the rows of `clean` with their features prepared to `prepared/<part>/`; return how many.

    Every part's manifest has the features as they were fitted on the training part. Raises DataError if `split` does
    not list the shards of `clean`.
    """
    rows, parts = read_manifest(clean), read_manifest(split)
    if [(entry.path, entry.rows) for entry in rows.files] != [(entry.path, entry.rows) for entry in parts.files]:
        raise DataError(f"{split}: its shards are not those of {clean}; run stage split again")
    done = run_tasks(
        session,
        partial(normalize_shard, clean=clean, split=split, prepared=prepared, features=features),
        [(task, entry.rows) for task, entry in zip(_tasks(split, parts), parts.files, strict=True)],
        on_progress,
    )
    learned = fitted(features, [partial for shard in done for partial in shard.partials.get("train", ())])
    for part, by_class in parts.counts["classes"].items():
        _finish_part(prepared / part, part, done, learned, list(by_class))
    return rows.rows


def normalize_shard(
    task: ShardToNormalize, clean: Path, split: Path, prepared: Path, features: Specs
) -> NormalizedShard:
    """Prepare the features of one shard, and write its rows of each part to `prepared/<part>/`.

    Raises DataError if the shard of `split` does not name the same rows.
    """
    rows = read_shard(clean / shard_name(task.number), _columns(features))
    parts = read_shard(split / shard_name(task.number))
    if not rows["id"].equals(parts["id"]):
        raise DataError(
            f"data/split/{shard_name(task.number)}: its rows are not those of data/clean; run stage split again"
        )
    part_of_row = np.asarray(parts["part"].to_pylist(), np.object_)
    result = NormalizedShard({}, {}, {})
    for part, number in task.number_in_part.items():
        chosen = rows.filter(pa.array(part_of_row == part))
        gathered: list[dict[str, Any]] = []
        tables = _normalized(chosen, features, gathered)
        result.entries[part] = publish_shard(prepared / part, number, prepared_schema(features), tables)
        result.labels[part] = Counter(chosen["label"].to_pylist())
        result.partials[part] = gathered
    return result


def _columns(features: Specs) -> list[str]:
    return ["id", "label", *clean_names(features)]


def _normalized(rows: pa.Table, features: Specs, gathered: list[dict[str, Any]]) -> Iterator[pa.Table]:
    block = max(1, _BLOCK_BYTES // working_bytes(features))
    for piece in slices(rows, block):
        table, partials = prepared_table(piece["id"], piece["label"], features, prepare(features, piece))
        gathered.append(partials)
        yield table


def _tasks(split: Path, parts: Manifest) -> list[ShardToNormalize]:
    """Number each part's shards without gaps: a shard of `data/clean` need not have rows of every part."""
    used: Counter[str] = Counter()
    tasks = []
    for number, entry in enumerate(parts.files):
        present = sorted(set(read_shard(split / entry.path, ["part"])["part"].to_pylist()))
        tasks.append(ShardToNormalize(number, {part: used[part] for part in present}))
        used.update(present)
    return tasks


def _finish_part(folder: Path, part: str, done: list[NormalizedShard], features: Specs, classes: list[str]) -> None:
    sweep_attempts(folder)
    entries = [shard.entries[part] for shard in done if part in shard.entries]
    labels: Counter[int] = Counter()
    for shard in done:
        labels.update(shard.labels.get(part, {}))
    counts = {"classes": {name: labels[label] for label, name in enumerate(classes)}}
    finish_dataset(folder, entries, prepared_schema(features), features=features, counts=counts)
