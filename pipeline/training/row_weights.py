"""Weights of rows (`data.roles.weight`): how much of the loss each row is.

A row's loss is multiplied by its weight divided by the mean weight of the training part. So weights that are all twice
as large change nothing, and the learning rate keeps its meaning. The validation loss has the same divisor: a row counts
the same in both curves. All other figures count each row once.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.storage.manifests import read_manifest
from pipeline.storage.mapped import map_columns
from pipeline.storage.row_columns import WEIGHT, RowColumns
from pipeline.training.target import numbers_in

Weights = npt.NDArray[np.float64]  # [row]
Relative = npt.NDArray[np.float32]  # [row], as shares of the mean


def mean_weight(training: Path) -> float | None:
    """Return the mean weight of a training part's rows; None if they have none.

    The sum is exact, so no order of rows can change a bit. Raises DataError without rows, or for what is no weight.
    """
    found = read_weights(training)
    if found is None:
        return None
    if not len(found):
        raise DataError(f"{training}: no rows, so nothing is known of their weights; raise split.train")
    return math.fsum(numbers_in(found)) / len(found)


def read_weights(folder: Path) -> Weights | None:
    """Return the weights of a prepared data set, `[row] float64`; None if it has none. Its digests are not checked.

    Raises DataError for a weight that is not a finite number above 0.
    """
    manifest = read_manifest(folder, verify=False)
    if not RowColumns.found(manifest.columns).has_weight:
        return None
    files = [(folder / entry.path, entry) for entry in manifest.files]
    weights: Weights = map_columns(files, {WEIGHT: ("float64", ())})[WEIGHT][:]
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise DataError(f"{folder}: some weights are not finite numbers above 0; run `dvc repro` to make it again")
    return weights


def relative(weights: Weights, mean: float) -> Relative:
    """Return weights as shares of a mean."""
    return (weights / mean).astype(np.float32)
