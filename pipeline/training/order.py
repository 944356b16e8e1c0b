"""The order in which an epoch visits the rows: a permutation, computed where it is asked for and kept nowhere.

Place → row by a Feistel network on [0, a) × [0, b), a = ⌈√rows⌉ and b = ⌈rows / a⌉, walked again from each number that
is no row: fewer than a of the a·b are none. Source: J. Black, P. Rogaway, "Ciphers with Arbitrary Finite Domains",
CT-RSA 2002 (its generalized Feistel and its cycle-walking cipher). The rounds' function is SplitMix64's: G. Steele,
D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, figure 17. That such a bijection is a
fair shuffle, given rounds enough: R. Mitchell et al., "Bandwidth-Optimal Random Shuffling for GPUs", arXiv 2106.06161.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
_Words = npt.NDArray[np.uint64]

_ROUNDS = 16  # with fewer, five rows do not come in each of their 120 orders equally often
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX = ((np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB)))


class EpochOrder:
    """The order of an epoch, a function of the number of rows, the seed and the epoch."""

    def __init__(self, rows: int, seed: int, epoch: int) -> None:
        self._rows = rows
        first = math.isqrt(max(rows - 1, 0)) + 1
        self._sides = np.uint64(first), np.uint64(max(1, -(-rows // first)))
        key = f"order {seed} {epoch}".encode()
        keys = b"".join(hashlib.blake2b(key, digest_size=8, salt=bytes([n])).digest() for n in range(_ROUNDS))
        self._keys = np.frombuffer(keys, "<u8").astype(np.uint64)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    def rows(self, begin: int, end: int) -> Rows:
        """Return the rows at places `begin` to `end` − 1, `[place] int64`; raise IndexError if one is none."""
        if not 0 <= begin <= end <= self._rows:
            raise IndexError(f"places {begin} to {end} of {self._rows}")
        return self.at(np.arange(begin, end))

    def at(self, places: Rows) -> Rows:
        """Return the rows at places `[place] int64`, as `rows` does: many at once take less time each."""
        if len(places) and not 0 <= places.min() <= places.max() < self._rows:
            raise IndexError(f"places {places.min()} to {places.max()} of {self._rows}")
        numbers = self._permuted(places.astype(np.uint64))
        while len(beyond := np.flatnonzero(numbers >= self._rows)):
            numbers[beyond] = self._permuted(numbers[beyond])
        return numbers.astype(np.int64)

    def _permuted(self, numbers: _Words) -> _Words:
        first, second = self._sides
        left, right = numbers % first, numbers // first
        for number in range(_ROUNDS):
            key = self._keys[number : number + 1]  # an array wraps around; a scalar warns
            if number % 2:
                right = (right + _mixed(left, key)) % second
            else:
                left = (left + _mixed(right, key)) % first
        return right * first + left


def _mixed(words: _Words, key: _Words) -> _Words:
    """Return 63 bits that depend on every bit of the words and of the key: so nothing that is added wraps around."""
    mixed = (words + key) * _GAMMA
    for shift, multiplier in _MIX:
        mixed ^= mixed >> shift
        mixed *= multiplier
    return (mixed ^ (mixed >> np.uint64(31))) >> np.uint64(1)
