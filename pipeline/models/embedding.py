"""Ids as learned vectors: a category's, and the mean or the sequence of a text's.

The rule of widths: a vector is as wide as the architecture's setting says, and at most half as wide as there are ids,
rounded up: three categories need no eight numbers. Source of learned vectors for categories: C. Guo and F. Berkhahn,
"Entity Embeddings of Categorical Variables", 2016; of the mean over a text: M. Iyyer et al., "Deep Unordered
Composition Rivals Syntactic Methods for Text Classification", ACL 2015, section 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pipeline.models.inputs import Inputs

_PADDING = 0  # the id of what is not there, in a text


def width(size: int, setting: int) -> int:
    """Return how wide the vectors of so many ids are."""
    return min(setting, (size + 1) // 2)


def weight_count(sizes: Mapping[str, int], setting: int) -> int:
    """Return the number of weights of the vectors of all features of ids."""
    return sum(size * width(size, setting) for size in sizes.values())


def embedded(name: str, inputs: Inputs, setting: int) -> Any:
    """Return the vectors of a feature's ids, `[batch, width]` or `[batch, length, width] float32`.

    Those of padding are 0.
    """
    from keras import layers, ops

    ids, size = inputs[name], inputs.sizes[name]
    vectors = layers.Embedding(size, width(size, setting), name=f"{name}.embedding")(ids)
    if not is_sequence(ids):
        return vectors
    return vectors * ops.expand_dims(ops.cast(is_token(ids), "float32"), -1)


def is_sequence(ids: Any) -> bool:
    """Return whether ids are `[batch, length]`, a text's, and not `[batch]`, a category's."""
    return len(ids.shape) == 2


def is_token(ids: Any) -> Any:
    """Return `[batch, length] bool`: whether there is something and not padding."""
    from keras import ops

    return ops.not_equal(ids, _PADDING)


def flat(name: str, inputs: Inputs, setting: int) -> Any:
    """Return any feature as numbers `[batch, number] float32`: ids as their vector, or as the mean of their vectors.

    The mean of a text without a term is 0.
    """
    from keras import layers, ops

    values = inputs[name]
    if name not in inputs.sizes:
        return layers.Flatten(name=f"{name}.flat")(values)
    vectors = embedded(name, inputs, setting)
    if not is_sequence(values):
        return vectors
    tokens = ops.sum(ops.cast(is_token(values), "float32"), axis=1, keepdims=True)
    return ops.sum(vectors, axis=1) / ops.maximum(tokens, 1.0)


def flat_width(name: str, shape: tuple[int, ...], sizes: Mapping[str, int], setting: int) -> int:
    """Return how many numbers `flat` gives of a feature."""
    return width(sizes[name], setting) if name in sizes else math.prod(shape)


def joined(parts: list[Any]) -> Any:
    """Return parts `[batch, number]` beside each other."""
    from keras import layers

    return layers.Concatenate(name="joined")(parts) if len(parts) > 1 else parts[0]
