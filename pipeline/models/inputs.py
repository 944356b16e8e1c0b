"""What an architecture is given: the features by name, as they enter it, and the sizes of those that are ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Inputs(dict[str, Any]):
    """Features by name: `[batch, …] float32`, or ids `[batch]` (a category) or `[batch, length]` (a text) `int32`.

    `sizes` says of each feature of ids how many there may be: they reach from 0 to one less.
    """

    def __init__(self, inputs: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
        super().__init__(inputs)
        self.sizes = dict(sizes)
