"""Writes changed copies of the training rows, and some of them beside their originals for people to look at.

What a copy is stands in `augmentation/changing.py`. It is made here on Spark, once, or by the training, anew in each
epoch: the copies of epoch 1 are those that would be written here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipeline.augmentation.changing import Copies, Labels, Numbers, Originals, Step, change, mixes_rows, steps_of
from pipeline.augmentation.counter_random import Keys, row_keys
from pipeline.data.feature_kinds import Specs, prepared_table
from pipeline.data.shard_tasks import publish_shard, read_shard, run_tasks, sweep_attempts
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.storage.manifests import read_manifest
from pipeline.storage.mapped import map_columns
from pipeline.storage.row_columns import RowColumns
from pipeline.storage.shards import (
    array_of,
    column_layouts,
    finish_dataset,
    prepared_schema,
    read_labels,
    read_rows,
    shard_name,
    write_shard,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipeline.recipe.recipe import AugmentParams

_BLOCK_BYTES = 16 * 2**20  # values made at a time
_EXAMPLES, _COPIES_SHOWN = 8, 6  # training rows that are shown, and changed copies of each


def augmented_schema(features: Specs, *, is_mixed: bool = False, is_number: bool = False) -> pa.Schema:
    """Return the schema of augmented rows: prepared ones without slices, the copy's number (from 1), its source's id.

    Of mixed ones `share` of a copy is its source row's, with `label`, and the rest another's, with `other_label`.
    """
    fields = [pa.field("copy", pa.int32()), pa.field("source_id", pa.string())]
    if is_mixed:
        fields += [pa.field("other_label", pa.int32()), pa.field("share", pa.float32())]
    return pa.schema([*prepared_schema(features, RowColumns(is_number)), *fields])


@dataclass(frozen=True)
class AugmentedShard:
    """The written file and its rows by label."""

    entry: FileEntry
    labels: Counter[int]


@dataclass(frozen=True)
class ShardToAugment:
    """A shard of the training part, and the number of its first row among all training rows."""

    number: int
    first_row: int


@dataclass(frozen=True)
class Partners:
    """What may be laid over a row: `keys` and `labels` of all training rows, `[row]`; the values stay in the files."""

    keys: Keys
    labels: Labels


def augment_dataset(
    session: SparkSession | None,
    training: Path,
    augmented: Path,
    *,
    seed: int,
    params: AugmentParams,
    on_progress: Callable[[int, int], None],
) -> Manifest:
    """Write `params.copies` changed copies of each training row to `augmented`; an empty data set if none are written.

    A session is needed only if there are copies to write: not if the training makes them.
    """
    manifest = read_manifest(training)
    features, steps, copies = manifest.features, steps_of(params.steps), params.written_copies
    is_number = RowColumns.found(manifest.columns).is_number
    is_mixed = mixes_rows(steps) and copies > 0
    done: list[AugmentedShard] = []
    if copies and session is not None:
        first_rows = np.cumsum([0, *(entry.rows for entry in manifest.files)]).tolist()
        partners = _partners(training, seed) if is_mixed else None
        done = run_tasks(
            session,
            partial(augment_shard, training=training, augmented=augmented, seed=seed, params=params, partners=partners),
            [
                (ShardToAugment(number, first_rows[number]), entry.rows * copies)
                for number, entry in enumerate(manifest.files)
            ],
            on_progress,
        )
        sweep_attempts(augmented)
    labels: Counter[int] = Counter()
    for shard in done:
        labels.update(shard.labels)
    by_class = {name: labels[label] for label, name in enumerate(manifest.counts["classes"])}
    return finish_dataset(
        augmented,
        [shard.entry for shard in done],
        augmented_schema(features, is_mixed=is_mixed, is_number=is_number),
        features=features,
        counts={"copies": copies, "classes": by_class},
    )


def augment_shard(
    shard: ShardToAugment,
    training: Path,
    augmented: Path,
    seed: int,
    params: AugmentParams,
    partners: Partners | None = None,
) -> AugmentedShard:
    """Write the changed copies of a shard of the training part: all first copies, all second copies …

    `partners` are needed where a step lays rows over each other.
    """
    manifest, steps = read_manifest(training, verify=False), steps_of(params.steps)
    features = manifest.features
    rows = read_shard(training / shard_name(shard.number), ["id", "label", *(spec.name for spec in features)])
    ids, first_row = rows["id"].to_pylist(), 0
    if partners is None:
        values = {spec.name: array_of(rows[spec.name], spec) for spec in features}
        originals = Originals(values, rows["label"].to_numpy(), row_keys(ids, seed))
    else:
        files = [(training / entry.path, entry) for entry in manifest.files]
        originals = Originals(map_columns(files, column_layouts(features)), partners.labels, partners.keys)
        first_row = shard.first_row
    tables = _augmented(originals, first_row, ids, features, steps, params.written_copies)
    schema = augmented_schema(features, is_mixed=partners is not None, is_number=_is_number(originals))
    entry = publish_shard(augmented, shard.number, schema, tables)
    labels = Counter() if _is_number(originals) else Counter(rows["label"].to_pylist())
    return AugmentedShard(entry, Counter({label: count * params.written_copies for label, count in labels.items()}))


def _is_number(originals: Originals) -> bool:
    return originals.labels.dtype.kind == "f"


def _partners(training: Path, seed: int) -> Partners:
    ids, labels = read_labels(training)
    return Partners(row_keys(ids, seed), labels)


def _augmented(
    originals: Originals, first_row: int, ids: Sequence[str], features: Specs, steps: Sequence[Step], copies: int
) -> Iterator[pa.Table]:
    """Yield the copies of consecutive rows, the first of which is number `first_row` of the originals."""
    block = max(1, _BLOCK_BYTES // sum(spec.size_bytes for spec in features))
    for copy in range(1, copies + 1):
        for start in range(0, len(ids), block):
            of_block = ids[start : start + block]
            rows = np.arange(start, start + len(of_block)) + first_row
            made = change(originals, rows, np.full(len(rows), copy), features, steps)
            yield _table(made, of_block, np.full(len(rows), copy), features, is_mixed=mixes_rows(steps))


def _table(made: Copies, ids: Sequence[str], copies: Numbers, features: Specs, *, is_mixed: bool) -> pa.Table:
    names = [f"{row_id}-{copy}" for row_id, copy in zip(ids, copies.tolist(), strict=True)]
    own = RowColumns(made.labels.dtype.kind == "f")
    table, _ = prepared_table({"id": pa.array(names), "label": pa.array(made.labels)}, features, made.columns, own)
    table = table.append_column("copy", pa.array(copies.astype(np.int32)))
    table = table.append_column("source_id", pa.array(ids, pa.string()))
    if is_mixed:
        table = table.append_column("other_label", pa.array(made.other_labels))
        table = table.append_column("share", pa.array(made.shares))
    return table


def example_rows(labels: Labels, count: int) -> Numbers:
    """Return `count` rows, or all if there are fewer: the first of each class, the second of each …, `[row]`."""
    order = np.argsort(labels, kind="stable")
    ranked = labels[order]
    starts = np.searchsorted(ranked, ranked)
    occurrence = np.empty(len(labels), np.int64)
    occurrence[order] = np.arange(len(labels)) - starts
    return np.lexsort((labels, occurrence))[:count]


def write_examples(training: Path, examples: Path, *, seed: int, params: AugmentParams) -> Manifest:
    """Write some training rows as copy 0, each followed by its changed copies 1 to 6: those that are trained on first.

    An empty data set if nothing is changed.
    """
    manifest, steps = read_manifest(training, verify=False), steps_of(params.steps)
    features = manifest.features
    is_number = RowColumns.found(manifest.columns).is_number
    schema = augmented_schema(features, is_mixed=True, is_number=is_number)
    entries = []
    if params.copies and steps and manifest.rows:
        found = read_rows(training, verify=False)
        originals = Originals(found.columns, found.labels, row_keys(found.ids, seed))
        rows = example_rows(found.labels, _EXAMPLES)
        tables = []
        for copy in range(_COPIES_SHOWN + 1):
            copies = np.full(len(rows), copy)
            made = change(originals, rows, copies, features, steps if copy else [])
            tables.append(_table(made, [found.ids[row] for row in rows.tolist()], copies, features, is_mixed=True))
        entries = [write_shard(examples, 0, schema, tables)]
    counts = {
        "steps": [choice.name for choice in params.steps],
        "when": params.when,
        "copies": params.copies,
        "classes": list(manifest.counts["classes"]),
    }
    return finish_dataset(examples, entries, schema, features=features, counts=counts)
