"""One number a row, in the target's unit: the architecture gives it in deviations from the training part's mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.records.architecture import TargetScale

NAME = "prediction"  # of the model's output, in what is served too


def units(classes: int) -> int:  # noqa: ARG001 - as the other tasks' are called
    """Return how many numbers the architecture's last layer has to give for a row."""
    return 1


def output(logits: Any, target: TargetScale | None = None) -> Any:
    """Return the model's answers `[batch, 1] float32`, in the target's unit, from logits of that shape."""
    import keras

    mean, deviation = (target.mean, target.deviation) if target else (0.0, 1.0)
    return keras.layers.Rescaling(deviation, mean, dtype="float32", name=NAME)(logits)
