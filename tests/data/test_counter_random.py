"""Random numbers by counter: the published ones, even, and another stream for each copy and each step."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.data.counter_random import copy_keys, mix64, random_words, row_keys, stream_keys, uniform


def keys(count: int, seed: int = 1, copy: int = 1) -> np.ndarray:
    return copy_keys(row_keys([f"row {n}" for n in range(count)], seed), copy)


def test_mix64_gives_the_published_numbers_of_splitmix64():
    # The first numbers of java.util.SplittableRandom and of S. Vigna's splitmix64.c for seed 1234567.
    assert random_words(np.array([1234567], np.uint64), 0, 3)[0].tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]
    assert mix64(np.zeros(1, np.uint64))[0] == 0


def test_uniform_numbers_are_even_and_uncorrelated_between_neighbouring_copies():
    one, other = (uniform(keys(20_000, copy=copy), 0, 1)[:, 0] for copy in (1, 2))

    assert np.histogram(one, 10, (0, 1))[0] == pytest.approx(2000, abs=200)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03


def test_streams_of_other_names_are_even_and_uncorrelated():
    plain = keys(20_000)
    one, other = (uniform(stream_keys(plain, name), 0, 1)[:, 0] for name in ("warp 0", "warp 1"))

    assert np.histogram(one, 10, (0, 1))[0] == pytest.approx(2000, abs=200)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03
    assert abs(np.corrcoef(one, uniform(plain, 0, 1)[:, 0])[0, 1]) < 0.03
