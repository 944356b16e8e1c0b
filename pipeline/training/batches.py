"""Prepared shards → shuffled batches. One global order per epoch, cut into global batches, divided among the ranks.

Global batch b of an epoch is `order.rows(b·B, (b+1)·B)` whatever the number of workers; rank r takes the r-th equal
slice of it. So one worker and many see the same global batches, and every rank takes the same number of steps. The rows
of an epoch's last, incomplete batch are left out; the next epoch has another order and leaves out other rows.

Features are read from memory maps, which all ranks of a machine share; of each row a rank holds its label alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.records.feature import FeatureSpec
from pipeline.storage.manifests import read_manifest
from pipeline.storage.mapped import Values, map_columns
from pipeline.storage.shards import Columns, column_layouts
from pipeline.training.order import EpochOrder, Rows

Labels = npt.NDArray[np.int32]
Batch = tuple[Columns, Labels]  # by feature [row, *shape]; labels [row]


@dataclass(frozen=True)
class Part:
    """The rows of a part: each feature's values by its name, and `labels [row] int32`."""

    columns: Mapping[str, Values]
    labels: Labels

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    def columns_at(self, rows: Rows) -> Columns:
        """Return a copy of the features of some rows, in their order."""
        return {name: values.take(rows, axis=0) for name, values in self.columns.items()}


def read_features(folders: Sequence[Path]) -> tuple[FeatureSpec, ...]:
    """Return the features that data sets have in common; raise DataError if they differ, fitted state included."""
    found = [read_manifest(folder, verify=False).features for folder in folders]
    for folder, features in zip(folders, found, strict=True):
        if not features:
            raise DataError(f"{folder}: its manifest names no features; run `dvc repro` to make it again")
        if features != found[0]:
            raise DataError(f"{folder}: other features than {folders[0]}; run `dvc repro` to make both again")
    return found[0]


def read_part(folders: Sequence[Path], classes: int, *, verify: bool = True) -> Part:
    """Map data sets of the same features, one after the other, and read their labels.

    Raises DataError for other features, a label outside 0 … `classes` − 1, bytes that do not match their manifest, or
    a shard whose values cannot be mapped.
    """
    features = read_features(folders)
    files = [(folder / entry.path, entry) for folder in folders for entry in read_manifest(folder, verify=verify).files]
    columns = map_columns(files, {**column_layouts(features), "label": ("int32", ())})
    labels = columns.pop("label")[:]
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        raise DataError(
            f"{folders[0]}: labels reach from {labels.min()} to {labels.max()}, but data.classes names {classes}"
        )
    return Part(columns, labels)


def step_count(rows: int, batch_size: int) -> int:
    """Return the number of steps in an epoch: whole global batches only."""
    return rows // batch_size


def rank_rows(order: EpochOrder, step: int, batch_size: int, rank: int, workers: int) -> Rows:
    """Return the rows that a rank takes in a step; `batch_size` is global and divisible by `workers`."""
    share = batch_size // workers
    begin = step * batch_size + rank * share
    return order.rows(begin, begin + share)


def training_batches(part: Part, order: EpochOrder, batch_size: int, rank: int, workers: int) -> Iterator[Batch]:
    """Yield a rank's share of each global batch of an epoch."""
    for step in range(step_count(len(order), batch_size)):
        rows = rank_rows(order, step, batch_size, rank, workers)
        yield part.columns_at(rows), part.labels.take(rows)


def rank_share(rows: int, rank: int, workers: int) -> range:
    """Return the consecutive rows that a rank validates. The ranks' shares cover every row exactly once."""
    return range(rows * rank // workers, rows * (rank + 1) // workers)


def validation_batches(part: Part, batch_size: int, rank: int, workers: int) -> Iterator[Batch]:
    """Yield a rank's share of the rows in order; the last batch may be smaller."""
    share = rank_share(len(part), rank, workers)
    for begin in range(share.start, share.stop, batch_size):
        end = min(begin + batch_size, share.stop)
        yield {name: values[begin:end] for name, values in part.columns.items()}, part.labels[begin:end]
