"""How good predicted numbers are. Pure: the true numbers and the answers in, metrics out.

Labels are `[row] float64`, answers `[row, 1]` or `[row]`. An error is the answer less the truth. All is worked out in
float64.

No metric is ever NaN: where the truth never varies, R² is 0, for then there is no variance to explain.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError

Numbers = npt.NDArray[np.float64]
Labels = npt.NDArray[Any]
Answers = npt.NDArray[np.floating[Any]]


def check_answers(labels: Labels, answers: Answers) -> None:
    """Raise DataError, with a clause that says why, unless there are rows, each with a finite truth and answer."""
    if not len(labels):
        raise DataError("there are no rows, so nothing can be said about them")
    if answers.shape not in ((len(labels),), (len(labels), 1)):
        raise DataError(
            f"the model answers with shape {list(answers.shape)}, expected [{len(labels)}, 1]: one number for each row"
        )
    for what, values, way_out in (
        ("label", labels, "see clean"),
        (
            "model's answer",
            answers,
            "its weights are damaged or training diverged: train again, with a lower train.learning_rate",
        ),
    ):
        is_finite = np.isfinite(values.reshape(len(labels)))
        if not is_finite.all():
            row = int(np.argmin(is_finite))
            raise DataError(f"the {what} of row {row} is {values.reshape(-1)[row]}, not a number; {way_out}")


def errors(labels: Labels, answers: Answers) -> Numbers:
    """Return the answer less the truth, `[row]`."""
    given: Numbers = answers.reshape(len(labels)).astype(np.float64) - labels
    return given


def measure(labels: Labels, answers: Answers) -> dict[str, float]:
    """Return the metrics of one part by name. The answers must have passed `check_answers`."""
    return {**measure_some(labels, answers), "r2": r2(labels, answers)}


def measure_some(labels: Labels, answers: Answers) -> dict[str, float]:
    """Return the metrics that say something of any rows."""
    off = errors(labels, answers)
    mse = float((off**2).mean())
    return {
        "mae": float(np.abs(off).mean()),
        "rmse": float(np.sqrt(mse)),
        "mse": mse,
        "bias": float(abs(off.mean())),
    }


def r2(labels: Labels, answers: Answers) -> float:
    """Return the share of the variance of the truth that the answers explain: 1 − MSE / variance, at most 1."""
    variance = float(np.var(labels))
    return 1 - float((errors(labels, answers) ** 2).mean()) / variance if variance > 0 else 0.0
