"""Changed copies of training rows: each copy passes through the recipe's steps, in their order.

A copy depends only on the seed, the row's id and the copy's number: its random numbers come from a counter-based
generator (see counter_random). Every step has a stream of its own, by its name and by how many steps of that name come
before it: a step that is added, moved or taken out leaves the others' numbers alone. Batches, partitions and the order
of rows make no difference. All features of a row that a step changes get the same numbers: two pictures of one thing
are turned together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.data.counter_random import Keys, copy_keys, row_keys, stream_keys
from pipeline.data.feature_kinds import Specs, prepared_table
from pipeline.data.shard_tasks import publish_shard, read_shard, run_tasks, slices, sweep_attempts
from pipeline.recipe.recipe import AUGMENTATION
from pipeline.recipe.slots import Choice
from pipeline.records.manifest import FileEntry, Manifest
from pipeline.storage.manifests import read_manifest
from pipeline.storage.shards import Columns, array_of, finish_dataset, prepared_schema, shard_name

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipeline.recipe.recipe import AugmentParams

_BLOCK_BYTES = 16 * 2**20  # values made at a time


def augmented_schema(features: Specs) -> pa.Schema:
    """Return the schema of augmented rows: prepared rows, the copy's number (from 1), the source row's id."""
    return prepared_schema(features).append(pa.field("copy", pa.int32())).append(pa.field("source_id", pa.string()))


@dataclass(frozen=True)
class Step:
    """One step of the recipe: the kinds of features that it changes, what it does, and its random numbers' name."""

    kinds: tuple[str, ...]
    change: Callable[..., Any]
    settings: Any
    stream: str


def steps_of(choices: Sequence[Choice]) -> list[Step]:
    """Return the steps that a recipe chooses, in their order."""
    used: Counter[str] = Counter()
    steps = []
    for number, choice in enumerate(choices):
        file = AUGMENTATION.member(choice.name)
        settings = AUGMENTATION.settings(choice, f"augment.steps.{number}")
        steps.append(Step(file.KINDS, file.change, settings, f"{choice.name} {used[choice.name]}"))
        used[choice.name] += 1
    return steps


def change(values: Columns, features: Specs, keys: Keys, steps: Sequence[Step]) -> Columns:
    """Return a changed copy of each row. Values are `[row, *shape]` by feature; `keys` are copy_keys, `[row]`."""
    changed = dict(values)
    for step in steps:
        stream = stream_keys(keys, step.stream)
        for spec in features:
            if spec.kind in step.kinds:
                changed[spec.name] = step.change(changed[spec.name], stream, step.settings)
    return changed


@dataclass(frozen=True)
class AugmentedShard:
    """The written file and its rows by label."""

    entry: FileEntry
    labels: Counter[int]


def augment_dataset(
    session: SparkSession | None,
    training: Path,
    augmented: Path,
    *,
    seed: int,
    params: AugmentParams,
    on_progress: Callable[[int, int], None],
) -> Manifest:
    """Write `params.copies` changed copies of each training row to `augmented`; an empty data set for 0 copies.

    A session is needed only if there are copies to make.
    """
    manifest = read_manifest(training)
    features = manifest.features
    done: list[AugmentedShard] = []
    if params.copies and session is not None:
        done = run_tasks(
            session,
            partial(augment_shard, training=training, augmented=augmented, features=features, seed=seed, params=params),
            [(number, entry.rows * params.copies) for number, entry in enumerate(manifest.files)],
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
        augmented_schema(features),
        features=features,
        counts={"copies": params.copies, "classes": by_class},
    )


def augment_shard(
    number: int, training: Path, augmented: Path, features: Specs, seed: int, params: AugmentParams
) -> AugmentedShard:
    """Write shard n of the augmented rows from shard n of the training part: all first copies, all second copies …"""
    rows = read_shard(training / shard_name(number), ["id", "label", *(spec.name for spec in features)])
    entry = publish_shard(augmented, number, augmented_schema(features), _augmented(rows, features, seed, params))
    labels = Counter(rows["label"].to_pylist())
    return AugmentedShard(entry, Counter({label: count * params.copies for label, count in labels.items()}))


def _augmented(rows: pa.Table, features: Specs, seed: int, params: AugmentParams) -> Iterator[pa.Table]:
    steps = steps_of(params.steps)
    block = max(1, _BLOCK_BYTES // sum(spec.size_bytes for spec in features))
    for copy in range(1, params.copies + 1):
        for piece in slices(rows, block):
            ids = piece["id"].to_pylist()
            keys = copy_keys(row_keys(ids, seed), copy)
            values = {spec.name: array_of(piece[spec.name], spec) for spec in features}
            names = pa.array([f"{row_id}-{copy}" for row_id in ids])
            table, _ = prepared_table(names, piece["label"], features, change(values, features, keys, steps))
            table = table.append_column("copy", pa.array(np.full(len(ids), copy, np.int32)))
            yield table.append_column("source_id", piece["id"])
