"""Training rows that are changed anew in each epoch, by the steps of the recipe: as many copies of each as it says.

A copy is a function of the seed, the row's id and its number, and epoch e makes the numbers that follow those of epoch
e − 1, row by row where rows of some classes have more copies. So it is the same on any rank and thread, in whatever
micro-batch it stands, and a resumed training makes it again. The copies of the first epoch are those that would be
written before a training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.augmentation.changing import Numbers, Originals, Step, change, copies_by_class, mixes_rows, steps_of
from pipeline.augmentation.counter_random import row_keys
from pipeline.recipe.recipe import AugmentParams
from pipeline.records.architecture import TargetScale
from pipeline.records.feature import FeatureSpec
from pipeline.storage.shards import read_labels
from pipeline.training.batches import Batch, read_features, read_part, with_weights
from pipeline.training.order import Rows
from pipeline.training.row_weights import Relative


@dataclass(frozen=True)
class Added:
    """Which copies the rows of an epoch are where some have more: the row of each, `[copy]`, and its number from 0.

    `of_row [row]` is how many copies each row has.
    """

    rows: Numbers
    numbers: Numbers
    of_row: Numbers

    @classmethod
    def of(cls, copies: Numbers) -> Added:
        """Return those of rows with so many copies, `[row]`: all first copies, all second ones …"""
        having = [np.flatnonzero(copies > number) for number in range(int(copies.max(initial=0)))]
        numbers = np.repeat(np.arange(len(having)), [len(rows) for rows in having])
        return cls(np.concatenate([*having, np.empty(0, np.int64)]), numbers, copies)


@dataclass(frozen=True)
class ChangedRows:
    """The rows of an epoch: copy c of row r is number `(c − 1) · rows + r`. `features` are those of the originals.

    Where rows of some classes have more copies, `added` says which row is which. A copy has the weight of its row.
    """

    originals: Originals
    features: tuple[FeatureSpec, ...]
    steps: Sequence[Step]
    copies: int
    added: Added | None = None
    weights: Relative | None = None  # of the originals

    def __len__(self) -> int:
        """Return the number of rows of an epoch."""
        return len(self.originals) * self.copies if self.added is None else len(self.added.rows)

    @property
    def is_mixed(self) -> bool:
        """Whether a row may have two labels."""
        return mixes_rows(self.steps)

    @property
    def is_weighted(self) -> bool:
        """Whether rows have weights."""
        return self.weights is not None

    def batch(self, rows: Rows, epoch: int) -> Batch:
        """Return some rows of an epoch (from 1), in their order."""
        if self.added is None:
            numbers, own = np.divmod(rows, len(self.originals))
            before = (epoch - 1) * self.copies + np.zeros_like(rows)
        else:
            numbers, own = self.added.numbers[rows], self.added.rows[rows]
            before = (epoch - 1) * self.added.of_row[own]
        made = change(self.originals, own, before + numbers + 1, self.features, self.steps)
        targets = (made.labels, made.other_labels, made.shares) if self.is_mixed else (made.labels,)
        return made.columns, with_weights(targets, self.weights, own)


def read_changed_rows(
    training: Path,
    classes: int,
    params: AugmentParams,
    seed: int,
    *,
    target: TargetScale | None = None,
    weight: float | None = None,
) -> ChangedRows:
    """Map the training rows whose copies are made, and read their labels, weights and ids; raises as `read_part`."""
    part = read_part([training], classes, target=target, weight=weight)
    ids, _ = read_labels(training)
    originals = Originals(part.columns, part.labels, row_keys(ids, seed))
    by_class = copies_by_class(params, np.bincount(part.labels, minlength=classes).tolist() if classes else [])
    added = None if by_class is None else Added.of(by_class.take(part.labels))
    features, steps = read_features([training]), steps_of(params.steps)
    return ChangedRows(originals, features, steps, params.copies, added, part.weights)
