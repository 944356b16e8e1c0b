"""Training rows that are changed anew in each epoch, by the steps of the recipe: as many copies of each as it says.

A copy is a function of the seed, the row's id and its number, and epoch e makes the numbers that follow those of epoch
e − 1. So it is the same on any rank and thread, in whatever micro-batch it stands, and a resumed training makes it
again. The copies of the first epoch are those that would be written before a training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.augmentation.changing import Originals, Step, change, mixes_rows, steps_of
from pipeline.augmentation.counter_random import row_keys
from pipeline.recipe.recipe import AugmentParams
from pipeline.records.architecture import TargetScale
from pipeline.records.feature import FeatureSpec
from pipeline.storage.shards import read_labels
from pipeline.training.batches import Batch, read_features, read_part
from pipeline.training.order import Rows


@dataclass(frozen=True)
class ChangedRows:
    """The rows of an epoch: copy c of row r is number `(c − 1) · rows + r`. `features` are those of the originals."""

    originals: Originals
    features: tuple[FeatureSpec, ...]
    steps: Sequence[Step]
    copies: int

    def __len__(self) -> int:
        """Return the number of rows of an epoch."""
        return len(self.originals) * self.copies

    @property
    def is_mixed(self) -> bool:
        """Whether a row may have two labels."""
        return mixes_rows(self.steps)

    def batch(self, rows: Rows, epoch: int) -> Batch:
        """Return some rows of an epoch (from 1), in their order."""
        copies, own = np.divmod(rows, len(self.originals))
        made = change(self.originals, own, copies + 1 + (epoch - 1) * self.copies, self.features, self.steps)
        targets = (made.labels, made.other_labels, made.shares) if self.is_mixed else (made.labels,)
        return made.columns, targets


def read_changed_rows(
    training: Path, classes: int, params: AugmentParams, seed: int, target: TargetScale | None = None
) -> ChangedRows:
    """Map the training rows whose copies are made, and read their labels and ids; raises as `read_part`."""
    part = read_part([training], classes, target=target)
    ids, _ = read_labels(training)
    originals = Originals(part.columns, part.labels, row_keys(ids, seed))
    return ChangedRows(originals, read_features([training]), steps_of(params.steps), params.epoch_copies)
