"""Phrases of a text: convolutions of several widths over its terms' vectors, each at its strongest place.

Source: Y. Kim, "Convolutional Neural Networks for Sentence Classification", EMNLP 2014, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def phrases(name: str, vectors: Any, filters: int, widths: Sequence[int]) -> Any:
    """Return `[batch, widths · filters] float32` from a text's vectors `[batch, length, width]`."""
    from keras import layers

    found = []
    for width in widths:
        convolved = layers.Conv1D(
            filters, width, padding="same", activation="relu", name=f"{name}.convolution_{width}"
        )(vectors)
        found.append(layers.GlobalMaxPooling1D(name=f"{name}.strongest_{width}")(convolved))
    return layers.Concatenate(name=f"{name}.phrases")(found) if len(found) > 1 else found[0]


def weight_count(vector: int, filters: int, widths: Sequence[int]) -> int:
    """Return the number of weights of the convolutions over vectors of so many numbers."""
    return sum((width * vector + 1) * filters for width in widths)
