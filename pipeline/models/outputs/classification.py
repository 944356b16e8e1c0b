"""One logit a class, turned into probabilities."""

from __future__ import annotations

from typing import Any

NAME = "probabilities"  # of the model's output, in what is served too


def units(classes: int) -> int:
    """Return how many numbers the architecture's last layer has to give for a row."""
    return classes


def output(logits: Any) -> Any:
    """Return the model's answers `[batch, class] float32` from logits of that shape."""
    import keras

    return keras.layers.Softmax(name=NAME)(logits)
