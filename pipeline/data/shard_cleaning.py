"""Cleans a data set shard by shard on Spark: the facts of every row first, then the files of each shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.data.cleaning import (
    FACTS_SCHEMA,
    FOUND_SCHEMA,
    compared,
    examine,
    quarantine_schema,
    reasons,
    separate,
)
from pipeline.data.feature_kinds import Specs, raw_schema
from pipeline.data.shard_tasks import publish_shard, read_shard, run_tasks, sweep_attempts
from pipeline.errors import Bug, DataError
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.storage.manifests import read_manifest
from pipeline.storage.shards import finish_dataset, shard_name

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def clean_dataset(
    session: SparkSession,
    raw: Path,
    clean: Path,
    quarantine: Path,
    *,
    classes: tuple[str, ...],
    features: Specs,
    is_test_given: bool,
    on_progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Write the kept rows of `raw` to `clean` and the others to `quarantine`; return how many, and why.

    `is_test_given`: the source's own test files are the test part. Shard n of either holds rows of shard n of `raw`, in
    order. Raises DataError if a class has no rows left.
    """
    manifest = read_manifest(raw)
    found = _found(session, raw, manifest, len(classes), features, is_test_given=is_test_given)
    tasks = _shards_to_clean(found, len(manifest.files))
    cleaned = run_tasks(
        session,
        partial(clean_shard, raw=raw, clean=clean, quarantine=quarantine, features=features),
        [(task, entry.rows) for task, entry in zip(tasks, manifest.files, strict=True)],
        on_progress,
    )
    counts = _count(cleaned, manifest.rows, classes, reasons(features))
    for folder in (clean, quarantine):
        sweep_attempts(folder)
    finish_dataset(clean, [shard.clean for shard in cleaned], raw_schema(features), counts=counts)
    rejected = [shard.quarantine for shard in cleaned if shard.quarantine]
    finish_dataset(quarantine, rejected, quarantine_schema(features), counts={"rejected": counts["reasons"]})
    return counts


def examine_shards(
    batches: Iterable[pa.RecordBatch], raw: Path, classes: int, features: Specs
) -> Iterator[pa.RecordBatch]:
    """For mapInArrow: map batches whose column `id` holds shard numbers of `raw` to the facts of these shards' rows."""
    for batch in batches:
        for shard in batch.column("id").to_pylist():
            table = read_shard(raw / shard_name(shard))
            yield from examine(table, shard, classes, features).to_batches()


@dataclass(frozen=True)
class ShardToClean:
    """A shard of the raw data, and its rows of FOUND_SCHEMA."""

    number: int
    found: pa.Table


@dataclass(frozen=True)
class CleanedShard:
    """The result of cleaning a shard: the written files, the kept rows by label, the rejected rows by reason."""

    clean: FileEntry
    quarantine: FileEntry | None
    labels: Counter[int]
    reasons: Counter[str]


def clean_shard(task: ShardToClean, raw: Path, clean: Path, quarantine: Path, features: Specs) -> CleanedShard:
    """Write shard n of the clean rows from shard n of `raw`, and shard n of the quarantine if it has rows."""
    kept, rejected = separate(read_shard(raw / shard_name(task.number)), task.found)
    rejects = quarantine_schema(features)
    return CleanedShard(
        clean=publish_shard(clean, task.number, raw_schema(features), [kept]),
        quarantine=publish_shard(quarantine, task.number, rejects, [rejected]) if rejected.num_rows else None,
        labels=Counter(kept["label"].to_pylist()),
        reasons=Counter(rejected["reason"].to_pylist()),
    )


def _found(
    session: SparkSession, raw: Path, manifest: Manifest, classes: int, features: Specs, *, is_test_given: bool
) -> pa.Table:
    """Return the rows of `raw` that do not stay as they are, of FOUND_SCHEMA, in their order."""
    from pyspark.sql.pandas.types import from_arrow_schema

    shards = len(manifest.files)
    examine = partial(examine_shards, raw=raw, classes=classes, features=features)
    facts = session.range(0, shards, 1, shards).mapInArrow(examine, from_arrow_schema(FACTS_SCHEMA))
    found = compared(facts, is_test_given=is_test_given).toArrow().cast(FOUND_SCHEMA)
    return found.sort_by([("shard", "ascending"), ("position", "ascending")])


def _shards_to_clean(found: pa.Table, shards: int) -> list[ShardToClean]:
    bounds = np.searchsorted(found["shard"].to_numpy(), np.arange(shards + 1)).tolist()
    # Taken, not sliced: a slice is sent to its task with all that it is a slice of.
    return [ShardToClean(n, found.take(pa.array(range(*ends), pa.int64()))) for n, ends in enumerate(pairwise(bounds))]


def _count(
    cleaned: list[CleanedShard], rows: int, classes: tuple[str, ...], in_order: tuple[str, ...]
) -> dict[str, Any]:
    """Add up the shards; raise Bug unless every row is either kept or rejected, DataError if a class has none left."""
    labels: Counter[int] = Counter()
    rejections: Counter[str] = Counter()
    for shard in cleaned:
        labels.update(shard.labels)
        rejections.update(shard.reasons)
    kept = sum(shard.clean.rows for shard in cleaned)
    rejected = sum(shard.quarantine.rows for shard in cleaned if shard.quarantine)
    if kept + rejected != rows or labels.total() != kept or rejections.total() != rejected:
        raise Bug(f"clean: {rows} rows in, but {kept} kept and {rejected} rejected; please report it")
    why = ", ".join(f"{count} {reason}" for reason, count in rejections.most_common()) or "none rejected"
    if not kept:
        raise DataError(f"data/raw: none of its {rows} rows can be kept ({why}); check data.features and data.classes")
    for label, name in enumerate(classes):
        if not labels[label]:
            raise DataError(
                f"data/raw: class '{name}' (label {label}) has no rows left of {rows} ({why}); "
                "check data.classes in params.yaml against the source"
            )
    return {
        "in": rows,
        "kept": kept,
        "rejected": rejected,
        "reasons": {reason: rejections[reason] for reason in in_order if rejections[reason]},
        "classes": {name: labels[label] for label, name in enumerate(classes)},
    }
