"""From which probability on a row of two classes is taken for the second one, chosen on the validation part."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.classification.metrics import EVEN, Labels, Probabilities

By = Literal["f1", "youden"]


def choose(labels: Labels, probabilities: Probabilities, by: By) -> float:
    """Return the threshold at which the second class has the highest F1, or the highest J of Youden.

    J = true positive rate − false positive rate (Youden, Cancer 3, 1950). Thresholds lie midway between two
    probabilities that occur, so none of the rows is on one; of several that are as good, the nearest to ½ is taken. The
    rows must have both classes.
    """
    of_second = probabilities[:, 1].astype(np.float64)
    order = np.argsort(of_second, kind="stable")
    ranked, truth = of_second[order], labels[order] == 1
    cuts = np.flatnonzero(np.diff(ranked) > 0) + 1  # so many rows lie below a threshold
    if not len(cuts):
        return EVEN
    thresholds = (ranked[cuts - 1] + ranked[cuts]) / 2
    found = truth.sum() - np.cumsum(truth)[cuts - 1]
    taken = len(ranked) - cuts
    best = _figures(found, taken, int(truth.sum()), len(ranked), by)
    good = np.flatnonzero(best >= best.max())
    return float(thresholds[good[np.argmin(np.abs(thresholds[good] - EVEN))]])


def _figures(
    found: npt.NDArray[np.int64], taken: npt.NDArray[np.int64], positives: int, rows: int, by: By
) -> npt.NDArray[np.float64]:
    if by == "f1":
        return np.asarray(2 * found / (taken + positives))
    return np.asarray(found / positives - (taken - found) / (rows - positives))
