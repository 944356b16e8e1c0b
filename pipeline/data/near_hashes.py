"""All hashes of a list that differ from others in few bits, without comparing every pair.

Multi-index hashing (M. Norouzi, A. Punjani, D. J. Fleet, Fast Search in Hamming Space with Multi-Index Hashing, 2012,
section 3): the 64 bits are cut into m pieces. Of hashes that differ in at most d = m r + a bits, with a below m, one of
the first a + 1 pieces differs in at most r bits, or one of the others in at most r - 1; so only hashes with such a
piece are compared. Memory is bounded by a block of compared pairs and, for each hash, 16 bytes a piece.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]

_BITS = 64
_BLOCK = 2**20  # pairs compared at a time


@dataclass(frozen=True)
class Pairs:
    """The rows of a list and of what was asked for, and in how many bits their hashes differ: `[pair]` each."""

    rows: Numbers
    asked: Numbers
    bits: Numbers


class HashIndex:
    """A list of hashes, `[row] uint64`, that finds those which differ from others in at most `bits` bits."""

    def __init__(self, hashes: Hashes, bits: int, *, block: int = _BLOCK) -> None:
        self._hashes, self._bits, self._block = hashes, bits, block
        self._pieces = _pieces(len(hashes), bits)
        self._orders = [np.argsort(piece.of(hashes), kind="stable") for piece in self._pieces]
        self._keys = [piece.of(hashes[order]) for piece, order in zip(self._pieces, self._orders, strict=True)]

    def near(self, asked: Hashes) -> Iterator[Pairs]:
        """Yield all pairs of a row and of a hash in `asked` that are so near, each in one of the blocks, once."""
        for number, piece in enumerate(self._pieces):
            keys, order = self._keys[number], self._orders[number]
            for wanted in piece.neighbours(piece.of(asked)):
                first, last = (keys.searchsorted(wanted, side) for side in ("left", "right"))
                ends = np.cumsum(last - first)
                total = int(ends[-1]) if len(ends) else 0
                for start in range(0, total, self._block):
                    place = np.arange(start, min(start + self._block, total))
                    asking = ends.searchsorted(place, "right")
                    rows = order[last[asking] - (ends[asking] - place)]
                    yield self._checked(rows, asking, asked, number)

    def _checked(self, rows: Numbers, asking: Numbers, asked: Hashes, number: int) -> Pairs:
        """Return those of the pairs with a near piece that are near, and that no earlier piece has found."""
        differing = self._hashes[rows] ^ asked[asking]
        bits = np.bitwise_count(differing).astype(np.int64)
        is_new = bits <= self._bits
        for earlier in self._pieces[:number]:
            is_new &= np.bitwise_count(earlier.of(differing)) > earlier.radius
        return Pairs(rows[is_new], asking[is_new], bits[is_new])


@dataclass(frozen=True)
class _Piece:
    """So many bits of a hash from a place on, and in how many of them hashes may differ to be compared."""

    shift: int
    width: int
    radius: int

    def of(self, hashes: Hashes) -> Hashes:
        """Return the piece of each hash."""
        return (hashes >> np.uint64(self.shift)) & np.uint64((1 << self.width) - 1)

    def neighbours(self, keys: Hashes) -> Iterator[Hashes]:
        """Yield the pieces within the radius, for each key at once: `[row]` for each way to differ."""
        for changed in range(self.radius + 1):
            for places in combinations(range(self.width), changed):
                yield keys ^ np.uint64(sum(1 << place for place in places))


def _pieces(rows: int, bits: int) -> list[_Piece]:
    """Return the pieces that find what differs in at most so many bits: each of about as many bits as rows have."""
    number = max(1, round(_BITS / math.log2(max(rows, 2))))
    radius, rest = divmod(bits, number)
    edges = [_BITS * place // number for place in range(number + 1)]
    all_of_them = [
        _Piece(start, end - start, radius if place <= rest else radius - 1)
        for place, (start, end) in enumerate(pairwise(edges))
    ]
    return [piece for piece in all_of_them if piece.radius >= 0]
