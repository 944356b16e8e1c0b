"""Near hashes are found as by comparing every pair, each pair once, however many are compared at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.data.near_hashes import Hashes, HashIndex

HASHES = st.lists(st.integers(0, 2**64 - 1), max_size=8)
FLIPS = st.lists(st.lists(st.integers(0, 63), max_size=14), max_size=12)


def found(index: HashIndex, asked: Hashes) -> list[tuple[int, int, int]]:
    pairs = [
        pair
        for block in index.near(asked)
        for pair in zip(block.rows.tolist(), block.asked.tolist(), block.bits.tolist(), strict=True)
    ]
    assert len(pairs) == len(set(pairs))
    return sorted(pairs)


def by_comparing_all(hashes: Hashes, asked: Hashes, bits: int) -> list[tuple[int, int, int]]:
    distances = np.bitwise_count(hashes[:, None] ^ asked[None, :])
    return [(int(row), int(number), int(distances[row, number])) for row, number in np.argwhere(distances <= bits)]


@given(base=HASHES.filter(bool), flips=FLIPS, bits=st.integers(0, 12), block=st.integers(1, 9))
@example(base=[0], flips=[[]], bits=0, block=1)
def test_what_is_near_is_found_as_by_comparing_all(
    base: list[int], flips: list[list[int]], bits: int, block: int
) -> None:
    hashes = np.array(base, np.uint64)
    near = [base[number % len(base)] ^ sum(1 << bit for bit in set(each)) for number, each in enumerate(flips)]
    asked = np.array([*near, *base], np.uint64)
    assert found(HashIndex(hashes, bits, block=block), asked) == by_comparing_all(hashes, asked, bits)


@pytest.mark.parametrize("bits", [0, 3, 4, 5, 11, 14])
@pytest.mark.parametrize("rows", [1, 40, 3000])
def test_it_is_so_for_any_number_of_rows_whose_pieces_are_of_other_widths(rows: int, bits: int) -> None:
    generator = np.random.default_rng(rows)
    hashes = generator.integers(0, 2**64, rows, np.uint64)
    places = generator.integers(0, 64, (200, bits + 2)).astype(np.uint64)
    flips = np.bitwise_or.reduce(np.uint64(1) << places, axis=1)
    asked = hashes[generator.integers(0, rows, 200)] ^ flips
    assert found(HashIndex(hashes, bits), asked) == by_comparing_all(hashes, asked, bits)


def test_nothing_is_near_in_an_empty_list_or_to_nothing() -> None:
    none, one = np.empty(0, np.uint64), np.array([7], np.uint64)
    assert found(HashIndex(none, 4), one) == []
    assert found(HashIndex(one, 4), none) == []


def test_few_of_many_random_hashes_are_compared() -> None:
    generator = np.random.default_rng(0)
    hashes = generator.integers(0, 2**64, 20_000, np.uint64)
    index = HashIndex(hashes, 4)
    compared = []
    check = index._checked
    index._checked = lambda rows, *rest: (compared.append(len(rows)), check(rows, *rest))[1]  # type: ignore[method-assign]
    assert found(index, hashes[:500]) == [(row, row, 0) for row in range(500)]
    assert sum(compared) < 500 * 20_000 / 100
