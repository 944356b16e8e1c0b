"""Prepared shards → shuffled batches. One global order per epoch, cut into global batches, divided among the ranks.

Global batch b of an epoch is `order[b·B : (b+1)·B]` whatever the number of workers; rank r takes the r-th equal slice
of it. So one worker and many see the same global batches, and every rank takes the same number of steps. The rows of an
epoch's last, incomplete batch are left out; the next epoch has another order and leaves out other rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.storage import shards
from pipeline.storage.manifests import read_manifest

Order = npt.NDArray[np.int64]
Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]  # pixels [image, h, w, c], labels [image]


@dataclass(frozen=True)
class PartInMemory:
    """Images in memory: `pixels [row, height, width, channel] uint8`, `labels [row] int32`."""

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int32]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)


def read_part(folders: Sequence[Path], classes: int, *, verify: bool = True) -> PartInMemory:
    """Read data sets of one image shape, one after the other, into one block of memory.

    A row group is a view of its Parquet page and is copied once, into the block. Raises DataError for another shape, a
    label outside 0 … `classes` − 1, or bytes that do not match their manifest.
    """
    manifests = [read_manifest(folder, verify=verify) for folder in folders]
    shape = shards.image_shape(manifests[0])
    rows = sum(manifest.rows for manifest in manifests)
    pixels, labels = np.empty((rows, *shape), np.uint8), np.empty(rows, np.int32)
    filled = 0
    for folder, manifest in zip(folders, manifests, strict=True):
        if shards.image_shape(manifest) != shape:
            raise DataError(f"{folder}: images of {shards.image_shape(manifest)}, but {folders[0]} has {shape}")
        for entry in manifest.files:
            for table in shards.iter_shard(folder / entry.path, ["label", "pixels"]):
                end = filled + table.num_rows
                if end > rows:
                    raise DataError(f"{folder}: more rows than its manifest says; run `dvc repro` to make it again")
                pixels[filled:end] = shards.pixels_of(table["pixels"], shape)
                labels[filled:end] = table["label"].to_numpy()
                filled = end
    if filled != rows:
        raise DataError(f"{folders[0]}: {filled} rows, but the manifests say {rows}; run `dvc repro` to make it again")
    if rows and (labels.min() < 0 or labels.max() >= classes):
        raise DataError(
            f"{folders[0]}: labels reach from {labels.min()} to {labels.max()}, but data.classes names {classes}"
        )
    return PartInMemory(pixels, labels)


def epoch_order(rows: int, seed: int, epoch: int) -> Order:
    """Return the order `[row]` in which an epoch visits the rows: a permutation that depends on seed and epoch."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(rows)


def step_count(rows: int, batch_size: int) -> int:
    """Return the number of steps in an epoch: whole global batches only."""
    return rows // batch_size


def rank_rows(order: Order, step: int, batch_size: int, rank: int, workers: int) -> Order:
    """Return the rows that a rank takes in a step; `batch_size` is global and divisible by `workers`."""
    share = batch_size // workers
    begin = step * batch_size + rank * share
    return order[begin : begin + share]


def training_batches(part: PartInMemory, order: Order, batch_size: int, rank: int, workers: int) -> Iterator[Batch]:
    """Yield a rank's share of each global batch of an epoch."""
    for step in range(step_count(len(order), batch_size)):
        rows = rank_rows(order, step, batch_size, rank, workers)
        yield part.pixels.take(rows, axis=0), part.labels.take(rows)


def rank_share(rows: int, rank: int, workers: int) -> range:
    """Return the consecutive rows that a rank validates. The ranks' shares cover every row exactly once."""
    return range(rows * rank // workers, rows * (rank + 1) // workers)


def validation_batches(part: PartInMemory, batch_size: int, rank: int, workers: int) -> Iterator[Batch]:
    """Yield a rank's share of the rows in order, without copying; the last batch may be smaller."""
    share = rank_share(len(part), rank, workers)
    for begin in range(share.start, share.stop, batch_size):
        end = min(begin + batch_size, share.stop)
        yield part.pixels[begin:end], part.labels[begin:end]
