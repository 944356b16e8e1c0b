"""Random numbers as a function of a key and a counter, without state: the same numbers in any batch and any order.

The generator is SplitMix64: G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014,
figures 16 and 17 (mix64, variant 13 of D. Stafford). Number `n` of a stream is `mix64(key + (n + 1) × gamma)`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))


def mix64(words: Keys) -> Keys:
    """Mix 64-bit words in place and return them: every bit of the result depends on every bit of the word."""
    scratch = np.right_shift(words, _SHIFTS[0])
    for shift, multiplier in zip(_SHIFTS[1:], _MULTIPLIERS, strict=True):
        words ^= scratch
        words *= multiplier
        np.right_shift(words, shift, out=scratch)
    words ^= scratch
    return words


def row_keys(ids: Sequence[str], seed: int) -> Keys:
    """Return the key of each row, `[row] uint64`: BLAKE2b of its id, keyed with the seed."""
    key = struct.pack("<Q", seed)
    content = b"".join(hashlib.blake2b(row_id.encode(), digest_size=8, key=key).digest() for row_id in ids)
    return np.frombuffer(content, "<u8").astype(np.uint64)


def copy_keys(keys: Keys, copies: int | npt.NDArray[np.int64]) -> Keys:
    """Return the keys of a copy of each row, `[row] uint64`: of one number, or of a number for each, `[row]`."""
    return mix64(keys + np.atleast_1d(copies).astype(np.uint64) * _GAMMA)  # arrays wrap around; scalars warn


def stream_keys(keys: Keys, name: str) -> Keys:
    """Return the keys of a named stream of each row, `[row] uint64`: streams of different names are independent."""
    word = np.frombuffer(hashlib.blake2b(name.encode(), digest_size=8).digest(), "<u8").astype(np.uint64)
    return mix64(keys ^ word)


def random_words(keys: Keys, first: int, count: int) -> Keys:
    """Return numbers `first` to `first + count - 1` of each key's stream, `[row, count] uint64`."""
    steps = np.arange(first + 1, first + count + 1, dtype=np.uint64) * _GAMMA
    return mix64(keys[:, None] + steps)


def uniform(keys: Keys, first: int, count: int) -> npt.NDArray[np.float64]:
    """Return `[row, count]` numbers in [0, 1), multiples of 2^-53."""
    return (random_words(keys, first, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53


@lru_cache(maxsize=1)
def normal_quantiles() -> npt.NDArray[np.float64]:
    """Return the 65 536 quantiles of a normal distribution around 0 with deviation 1, `[65536]`.

    Picking one by 16 random bits draws from it, out to 4.3 deviations.
    """
    lower = np.array([NormalDist().inv_cdf((rank + 0.5) / 2**16) for rank in range(2**15)])
    quantiles = np.concatenate([lower, -lower[::-1]])
    quantiles.flags.writeable = False
    return quantiles


@lru_cache(maxsize=4)
def normal_levels(deviation: float) -> npt.NDArray[np.int16]:
    """Return the 65 536 quantiles of a normal distribution around 0 with this deviation, rounded, `[65536] int16`."""
    levels = np.rint(normal_quantiles() * deviation).astype(np.int16)
    levels.flags.writeable = False
    return levels


def normal(keys: Keys, first: int, count: int, deviation: float) -> npt.NDArray[np.int16]:
    """Return `[row, count] int16` normal numbers rounded to integers, four from each number of the stream."""
    return normal_levels(deviation).take(_picks(keys, first, count))


def standard_normal(keys: Keys, first: int, count: int) -> npt.NDArray[np.float64]:
    """Return `[row, count]` normal numbers around 0 with deviation 1, four from each number of the stream.

    They are multiples of 2^-32: the last digits of a library's logarithm make no difference.
    """
    return np.rint(normal_quantiles().take(_picks(keys, first, count)) * 2.0**32) * 2.0**-32


def _picks(keys: Keys, first: int, count: int) -> npt.NDArray[np.uint16]:
    """Return `[row, count]` random numbers of 16 bits, four from each number of the stream."""
    words = random_words(keys, first, -(-count // 4))
    return words.astype("<u8", copy=False).view("<u2")[:, :count]
