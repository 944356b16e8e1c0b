"""Prepared shards → shuffled micro-batches. One global order per epoch, cut for virtual workers, never for ranks.

Global batch b of an epoch is `order.rows(b·B, (b+1)·B)`; virtual worker v of V takes the v-th equal slice of it, its
micro-batch, whichever rank carries it. The rows of an epoch's last, incomplete batch are left out; the next epoch has
another order and leaves out other rows.

Features are read from memory maps, which all ranks of a machine share; of each row a rank holds its targets alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.records.architecture import TargetScale
from pipeline.records.feature import FeatureSpec
from pipeline.storage.manifests import read_manifest
from pipeline.storage.mapped import Values, map_columns
from pipeline.storage.shards import Columns, column_layouts
from pipeline.training.order import EpochOrder, Rows
from pipeline.training.row_weights import Relative, Weights, read_weights, relative
from pipeline.training.target import scaled

Labels = npt.NDArray[Any]  # int32; of numbers float32, in deviations from the mean of the target
# Labels [row]. Where rows may have two labels also the other one [row], and the share of the first [row] float32. Where
# rows have weights, these come last, [row] float32, as shares of the training part's mean.
Targets = tuple[npt.NDArray[Any], ...]
Batch = tuple[Columns, Targets]  # by feature [row, *shape]
_PLACES_AT_ONCE = 4096  # whose rows are worked out together: a tenth of the time that 128 take by themselves


class TrainingRows(Protocol):
    """The rows of an epoch."""

    def __len__(self) -> int:
        """Return how many there are: in each epoch as many."""

    @property
    def is_mixed(self) -> bool:
        """Whether a row may have two labels."""

    @property
    def is_weighted(self) -> bool:
        """Whether rows have weights."""

    def batch(self, rows: Rows, epoch: int) -> Batch:
        """Return some rows of an epoch (from 1), in their order."""


@dataclass(frozen=True)
class Part:
    """The rows of a part: each feature's values by its name, their targets, and weights if they have any.

    Weights `[row] float32` are shares of the training part's mean.
    """

    columns: Mapping[str, Values]
    targets: Targets
    weights: Relative | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    @property
    def labels(self) -> Labels:
        """The labels, `[row]`: of a row that has two, the first."""
        return self.targets[0]

    @property
    def is_mixed(self) -> bool:
        """Whether a row may have two labels."""
        return len(self.targets) > 1

    @property
    def is_weighted(self) -> bool:
        """Whether rows have weights."""
        return self.weights is not None

    def batch(self, rows: Rows, epoch: int) -> Batch:  # noqa: ARG002 - these are the same in every epoch
        """Return a copy of some rows, in their order."""
        columns = {name: values.take(rows, axis=0) for name, values in self.columns.items()}
        return columns, with_weights(tuple(values.take(rows) for values in self.targets), self.weights, rows)


def with_weights(targets: Targets, weights: Relative | None, rows: Rows | slice) -> Targets:
    """Return the targets of some rows with their weights, if they have any."""
    return targets if weights is None else (*targets, weights[rows])


def read_features(folders: Sequence[Path]) -> tuple[FeatureSpec, ...]:
    """Return the features that data sets have in common; raise DataError if they differ, fitted state included."""
    found = [read_manifest(folder, verify=False).features for folder in folders]
    for folder, features in zip(folders, found, strict=True):
        if not features:
            raise DataError(f"{folder}: its manifest names no features; run `dvc repro` to make it again")
        if features != found[0]:
            raise DataError(f"{folder}: other features than {folders[0]}; run `dvc repro` to make both again")
    return found[0]


def read_part(
    folders: Sequence[Path],
    classes: int,
    *,
    target: TargetScale | None = None,
    weight: float | None = None,
    verify: bool = True,
) -> Part:
    """Map data sets of the same features, one after the other, and read their targets, and weights if they have any.

    `target` is the scale of a target that is a number, without `classes`; `weight` the mean weight of the training
    part, where rows have weights. Raises DataError for other features, rows without a weight beside others, a label
    outside 0 … `classes` − 1 or one that is no finite number, a share outside 0 … 1, bytes that do not match their
    manifest, or a shard whose values cannot be mapped.
    """
    label = "float64" if target else "int32"
    features = read_features(folders)
    manifests = [(folder, read_manifest(folder, verify=verify)) for folder in folders]
    files = [(folder / entry.path, entry) for folder, manifest in manifests for entry in manifest.files]
    columns = map_columns(files, {**column_layouts(features), "label": (label, ())})
    labels = _checked_labels(columns.pop("label")[:], classes, target, folders[0])
    weights = None if weight is None else relative(_weights(folders), weight)
    if not any("share" in manifest.columns for _, manifest in manifests):
        return Part(columns, (labels,), weights)
    others, shares = labels.copy(), np.ones(len(labels), np.float32)  # of rows that are not mixed
    first = 0
    for folder, manifest in manifests:
        here = slice(first, first := first + manifest.rows)
        if "share" in manifest.columns:
            of_folder = [(folder / entry.path, entry) for entry in manifest.files]
            mixed = map_columns(of_folder, {"other_label": (label, ()), "share": ("float32", ())})
            others[here] = _checked_labels(mixed["other_label"][:], classes, target, folder)
            shares[here] = mixed["share"][:]
            if not ((shares[here] >= 0) & (shares[here] <= 1)).all():
                raise DataError(f"{folder}: shares of rows that are not within 0 and 1; run `dvc repro`")
    return Part(columns, (labels, others, shares), weights)


def _weights(folders: Sequence[Path]) -> Weights:
    found = []
    for folder in folders:
        weights = read_weights(folder)
        if weights is None:
            raise DataError(f"{folder}: its rows have no weights, and those they stand beside have; run `dvc repro`")
        found.append(weights)
    return np.concatenate(found)


def _checked_labels(labels: Labels, classes: int, target: TargetScale | None, folder: Path) -> Labels:
    """Return labels as they are trained: numbers in deviations from the mean."""
    if target is not None:
        if not np.isfinite(labels).all():
            raise DataError(f"{folder}: some labels are not finite numbers; run `dvc repro` to make it again")
        return scaled(labels, target)
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        raise DataError(
            f"{folder}: labels reach from {labels.min()} to {labels.max()}, but data.classes names {classes}"
        )
    return labels


def step_count(rows: int, batch_size: int) -> int:
    """Return the number of steps in an epoch: whole global batches only."""
    return rows // batch_size


def micro_batch_rows(
    order: EpochOrder, steps: range, batch_size: int, block: range, virtual_workers: int
) -> npt.NDArray[np.int64]:
    """Return the rows `[step, virtual worker, row]` of a block; `virtual_workers` divide `batch_size`."""
    share = batch_size // virtual_workers
    places = np.arange(steps.start, steps.stop)[:, None] * batch_size + np.arange(block.start, block.stop)[None] * share
    every = places[:, :, None] + np.arange(share)
    return order.at(every.ravel()).reshape(every.shape)


def training_batches(
    training: TrainingRows, order: EpochOrder, epoch: int, batch_size: int, block: range, virtual_workers: int
) -> Iterator[list[Batch]]:
    """Yield, for each step of an epoch, the micro-batches of a block of virtual workers."""
    steps = step_count(len(order), batch_size)
    at_once = max(1, _PLACES_AT_ONCE * virtual_workers // (batch_size * len(block)))
    for first in range(0, steps, at_once):
        chosen = micro_batch_rows(order, range(first, min(first + at_once, steps)), batch_size, block, virtual_workers)
        for cuts in chosen:
            yield [training.batch(rows, epoch) for rows in cuts]


def validation_batch(part: Part, number: int, batch_size: int) -> Batch:
    """Return the batch of that number of a part's rows in order; the last one may be smaller."""
    rows = slice(number * batch_size, min((number + 1) * batch_size, len(part)))
    columns = {name: values[rows] for name, values in part.columns.items()}
    return columns, with_weights((part.labels[rows],), part.weights, rows)


def rank_share(batches: int, rank: int, workers: int) -> range:
    """Return the consecutive batches that a rank validates. The ranks' shares cover every batch exactly once."""
    return range(batches * rank // workers, batches * (rank + 1) // workers)
