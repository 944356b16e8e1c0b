"""Random numbers by counter: the published ones, even, and another stream for each copy and each step."""

from __future__ import annotations

import hashlib
from statistics import NormalDist

import numpy as np
import pytest

from pipeline.augmentation.counter_random import (
    copy_keys,
    mix64,
    normal,
    normal_levels,
    normal_quantiles,
    random_words,
    row_keys,
    standard_normal,
    stream_keys,
    uniform,
)


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


def test_numbers_of_a_stream_are_counted_from_any_first():
    plain = keys(5)

    assert np.array_equal(random_words(plain, 3, 4), random_words(plain, 0, 7)[:, 3:])
    assert random_words(plain, 0, 7).shape == (5, 7)


def test_a_uniform_number_is_the_upper_53_bits():
    plain = keys(50)

    assert np.array_equal(uniform(plain, 2, 3) * 2**53, random_words(plain, 2, 3) // 2**11)


def test_a_row_s_key_is_the_digest_of_its_id_keyed_with_the_seed_and_a_copy_s_is_mixed_from_it():
    keyed = hashlib.blake2b(b"row 1", digest_size=8, key=(7).to_bytes(8, "little")).digest()
    [key] = row_keys(["row 1"], 7).tolist()

    assert key == int.from_bytes(keyed, "little")
    gamma = 0x9E3779B97F4A7C15
    expected = mix64(np.array([(key + 3 * gamma) % 2**64], np.uint64))
    assert copy_keys(row_keys(["row 1"], 7), 3).tolist() == expected.tolist()


def test_a_stream_s_key_is_mixed_from_the_row_s_and_the_digest_of_its_name():
    word = int.from_bytes(hashlib.blake2b(b"warp 0", digest_size=8).digest(), "little")
    plain = keys(3)

    assert stream_keys(plain, "warp 0").tolist() == mix64(plain ^ np.uint64(word)).tolist()


@pytest.mark.parametrize("deviation", [0.5, 6.0, 100.0])
def test_normal_levels_are_the_rounded_quantiles(deviation):
    levels = normal_levels(deviation)
    ranks = np.array([0, 1, 9999, 32767, 32768, 65534, 65535])

    expected = [round(NormalDist(0, deviation).inv_cdf((rank + 0.5) / 65536)) for rank in ranks.tolist()]
    assert levels[ranks].tolist() == expected
    assert (levels.dtype, levels.shape, levels.flags.writeable) == (np.int16, (65536,), False)
    assert np.array_equal(levels, -levels[::-1])
    assert (np.diff(levels) >= 0).all()


def test_normal_numbers_take_sixteen_bits_each_of_the_stream():
    plain = keys(4)
    words = random_words(plain, 5, 2)
    picks = np.array([[(int(word) >> 16 * part) & 0xFFFF for word in row for part in range(4)] for row in words])

    for count in (1, 4, 5, 8):
        assert np.array_equal(normal(plain, 5, count, 9.0), normal_levels(9.0)[picks[:, :count]])


def test_standard_normal_numbers_have_the_deviation_1_and_no_digits_below_2_to_the_minus_32():
    found = standard_normal(keys(5_000), 2, 7)

    assert found.shape == (5_000, 7)
    assert found.mean() == pytest.approx(0, abs=0.02)
    assert found.std() == pytest.approx(1, abs=0.01)
    assert np.array_equal(found * 2**32, np.rint(found * 2**32))
    assert 3.5 < np.abs(found).max() < 4.4


def test_standard_normal_numbers_are_the_quantiles_that_sixteen_bits_pick_and_count_from_any_first():
    plain = keys(5)
    picks = random_words(plain, 0, 3).astype("<u8").view("<u2")

    assert np.allclose(standard_normal(plain, 0, 12), normal_quantiles()[picks], rtol=0, atol=2**-32)
    assert np.array_equal(standard_normal(plain, 1, 8), standard_normal(plain, 0, 12)[:, 4:])
    assert normal_quantiles()[2**15] == -normal_quantiles()[2**15 - 1] > 0
    assert not normal_quantiles().flags.writeable
