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

from pipeline.augmentation.changing import (
    Copies,
    Labels,
    Numbers,
    Originals,
    Step,
    change,
    copies_by_class,
    mixes_rows,
    steps_of,
)
from pipeline.augmentation.counter_random import Keys, row_keys
from pipeline.data.feature_kinds import OF_CLASSES, Specs, prepared_table
from pipeline.data.shard_tasks import publish_shard, read_shard, run_tasks, sweep_attempts
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.storage.manifests import read_manifest
from pipeline.storage.mapped import map_columns
from pipeline.storage.row_columns import WEIGHT, RowColumns
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


def augmented_schema(features: Specs, own: RowColumns = OF_CLASSES, *, is_mixed: bool = False) -> pa.Schema:
    """Return the schema of augmented rows: prepared ones without slices, the copy's number (from 1), its source's id.

    Of mixed ones `share` of a copy is its source row's, with `label`, and the rest another's, with `other_label`.
    """
    fields = [pa.field("copy", pa.int32()), pa.field("source_id", pa.string())]
    if is_mixed:
        fields += [pa.field("other_label", pa.int32()), pa.field("share", pa.float32())]
    return pa.schema([*prepared_schema(features, own.of_copies), *fields])


@dataclass(frozen=True)
class AugmentedShard:
    """The written file and its rows by label."""

    entry: FileEntry
    labels: Counter[int]


@dataclass(frozen=True)
class ShardToAugment:
    """A shard of the training part, the number of its first row among all training rows, and the copies of its rows.

    `copies` are by class, `[class]`; None if they are `params.copies` of each row.
    """

    number: int
    first_row: int
    copies: Numbers | None = None


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

    A step may add copies of the rows of some classes. A session is needed only if there are copies to write: not if the
    training makes them.
    """
    manifest = read_manifest(training)
    features, steps, is_written = manifest.features, steps_of(params.steps), params.writes_copies
    by_class = copies_by_class(params, list(manifest.counts["classes"].values())) if is_written else None
    own = RowColumns.found(manifest.columns)
    is_mixed = mixes_rows(steps) and is_written
    done: list[AugmentedShard] = []
    if is_written and session is not None:
        first_rows = np.cumsum([0, *(entry.rows for entry in manifest.files)]).tolist()
        partners = _partners(training, seed) if is_mixed else None
        done = run_tasks(
            session,
            partial(augment_shard, training=training, augmented=augmented, seed=seed, params=params, partners=partners),
            [
                (
                    ShardToAugment(number, first_rows[number], by_class),
                    _copies_in(training / entry.path, params, by_class),
                )
                for number, entry in enumerate(manifest.files)
            ],
            on_progress,
        )
        sweep_attempts(augmented)
    labels: Counter[int] = Counter()
    for shard in done:
        labels.update(shard.labels)
    classes = list(manifest.counts["classes"])
    counts = {
        "copies": params.copies if is_written else 0,
        "classes": {name: labels[label] for label, name in enumerate(classes)},
        **_said(classes, by_class),
    }
    return finish_dataset(
        augmented,
        [shard.entry for shard in done],
        augmented_schema(features, own, is_mixed=is_mixed),
        features=features,
        counts=counts,
    )


def _said(classes: Sequence[str], copies: Numbers | None) -> dict[str, dict[str, int]]:
    """Return what a manifest says of copies that differ by class."""
    return {} if copies is None else {"copies_by_class": dict(zip(classes, copies.tolist(), strict=True))}


def _copies_in(shard: Path, params: AugmentParams, by_class: Numbers | None) -> int:
    """Return how many copies the rows of a shard have."""
    return int(_copies_of(read_shard(shard, ["label"])["label"].to_numpy(), params, by_class).sum())


def _copies_of(labels: Labels, params: AugmentParams, by_class: Numbers | None) -> Numbers:
    """Return how many copies each row has, `[row]`."""
    return np.full(len(labels), params.copies) if by_class is None else by_class.take(labels)


def augment_shard(
    shard: ShardToAugment,
    training: Path,
    augmented: Path,
    seed: int,
    params: AugmentParams,
    partners: Partners | None = None,
) -> AugmentedShard:
    """Write the changed copies of a shard of the training part: all first copies, all second copies …

    `partners` are needed where a step lays rows over each other. A copy has the weight of its row.
    """
    manifest, steps = read_manifest(training, verify=False), steps_of(params.steps)
    features, own = manifest.features, RowColumns.found(manifest.columns).of_copies
    names = ["id", "label", *own.roles, *(spec.name for spec in features)]
    rows = read_shard(training / shard_name(shard.number), names)
    ids, first_row = rows["id"].to_pylist(), 0
    if partners is None:
        values = {spec.name: array_of(rows[spec.name], spec) for spec in features}
        originals = Originals(values, rows["label"].to_numpy(), row_keys(ids, seed))
    else:
        files = [(training / entry.path, entry) for entry in manifest.files]
        originals = Originals(map_columns(files, column_layouts(features)), partners.labels, partners.keys)
        first_row = shard.first_row
    labels = rows["label"].to_numpy()
    copies = _copies_of(labels, params, shard.copies)
    tables = _augmented(originals, first_row, rows.select(["id", *own.roles]), features, steps, copies)
    schema = augmented_schema(features, own, is_mixed=partners is not None)
    entry = publish_shard(augmented, shard.number, schema, tables)
    counted = Counter[int]() if own.is_number else Counter(np.repeat(labels, copies).tolist())
    return AugmentedShard(entry, counted)


def _partners(training: Path, seed: int) -> Partners:
    ids, labels = read_labels(training)
    return Partners(row_keys(ids, seed), labels)


def _augmented(
    originals: Originals, first_row: int, of_row: pa.Table, features: Specs, steps: Sequence[Step], copies: Numbers
) -> Iterator[pa.Table]:
    """Yield the copies of consecutive rows, the first of which is number `first_row` of the originals.

    `of_row` has their ids, and weights if they have any; `copies` is the number of those of each, `[row]`.
    """
    block = max(1, _BLOCK_BYTES // sum(spec.size_bytes for spec in features))
    for copy in range(1, int(copies.max(initial=0)) + 1):
        having = np.flatnonzero(copies >= copy)
        for start in range(0, len(having), block):
            rows = having[start : start + block]
            numbers = np.full(len(rows), copy)
            made = change(originals, rows + first_row, numbers, features, steps)
            yield _table(made, of_row.take(pa.array(rows)), numbers, features, is_mixed=mixes_rows(steps))


def _table(made: Copies, of_row: pa.Table, copies: Numbers, features: Specs, *, is_mixed: bool) -> pa.Table:
    ids = of_row["id"].to_pylist()
    names = [f"{row_id}-{copy}" for row_id, copy in zip(ids, copies.tolist(), strict=True)]
    roles = [name for name in of_row.column_names if name == WEIGHT]
    own = RowColumns(made.labels.dtype.kind == "f", tuple(roles))
    given = {"id": pa.array(names), "label": pa.array(made.labels), **{name: of_row[name] for name in roles}}
    table, _ = prepared_table(given, features, made.columns, own)
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

    They are of rows that have copies. An empty data set if nothing is changed.
    """
    manifest, steps = read_manifest(training, verify=False), steps_of(params.steps)
    features = manifest.features
    own = RowColumns(RowColumns.found(manifest.columns).is_number)  # without weights: they are for people to look at
    schema = augmented_schema(features, own, is_mixed=True)
    entries = []
    classes = list(manifest.counts["classes"])
    by_class = copies_by_class(params, list(manifest.counts["classes"].values()))
    if (params.writes_copies or params.makes_copies) and steps and manifest.rows:
        found = read_rows(training, verify=False)
        originals = Originals(found.columns, found.labels, row_keys(found.ids, seed))
        having = np.flatnonzero(_copies_of(found.labels, params, by_class))
        rows = having[example_rows(found.labels[having], _EXAMPLES)]
        tables = []
        for copy in range(_COPIES_SHOWN + 1):
            copies = np.full(len(rows), copy)
            made = change(originals, rows, copies, features, steps if copy else [])
            shown = pa.table({"id": [found.ids[row] for row in rows.tolist()]})
            tables.append(_table(made, shown, copies, features, is_mixed=True))
        entries = [write_shard(examples, 0, schema, tables)] if len(rows) else []
    counts = {
        "steps": [choice.name for choice in params.steps],
        "when": params.when,
        "copies": params.copies,
        "classes": classes,
        **_said(classes, by_class),
    }
    return finish_dataset(examples, entries, schema, features=features, counts=counts)
