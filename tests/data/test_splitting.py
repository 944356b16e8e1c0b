"""Parts partition the rows, stay put, and are proven apart."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.splitting import PARTS, assign, class_counts, largest_remainder, prove_apart
from pipeline.errors import DataError
from pipeline.recipe.recipe import SplitParams

HASH = SplitParams(method="hash", train=0.7, validation=0.1, test=0.2)
STRATIFIED = SplitParams(method="stratified", train=0.7, validation=0.1, test=0.2)
SOURCE = SplitParams(method="source", train=0.9, validation=0.1, test=0.0)
METHODS = {"hash": HASH, "stratified": STRATIFIED, "source": SOURCE}


def digests(numbers: list[int]) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in numbers]


def parts_of(numbers: list[int], params: SplitParams, seed: int = 1) -> dict[int, str]:
    source = ["test" if number % 5 == 0 else "train" for number in numbers]
    labels = np.array([number % 3 for number in numbers], np.int32)
    codes = assign(source, labels, digests(numbers), params, seed)
    return {number: PARTS[code] for number, code in zip(numbers, codes, strict=True)}


numbers = st.lists(st.integers(0, 10_000), unique=True, max_size=60).map(lambda found: [0, *(n + 1 for n in found)])


@pytest.mark.parametrize("method", METHODS)
@given(rows=numbers, data=st.data())
def test_a_part_does_not_depend_on_the_order_of_rows(method, rows, data):
    shuffled = data.draw(st.permutations(rows))

    assert parts_of(shuffled, METHODS[method]) == parts_of(rows, METHODS[method])


@given(rows=numbers, more=numbers)
def test_by_hash_adding_rows_moves_none_of_the_others(rows, more):
    both = list(dict.fromkeys([*rows, *more]))

    assert parts_of(both, HASH).items() >= parts_of(rows, HASH).items()


@given(rows=numbers)
def test_by_source_the_test_part_is_the_source_s_test_rows(rows):
    assert {row for row, part in parts_of(rows, SOURCE).items() if part == "test"} == {n for n in rows if n % 5 == 0}


@given(rows=st.integers(0, 10_000), shares=st.lists(st.integers(1, 100), min_size=1, max_size=5))
def test_largest_remainder_adds_up_and_is_never_off_by_one(rows, shares):
    fractions = [share / sum(shares) for share in shares]

    counts = largest_remainder(rows, fractions)

    assert sum(counts) == rows
    assert all(abs(count - rows * share) < 1 + 1e-9 for count, share in zip(counts, fractions, strict=True))


def test_stratified_gives_every_class_its_exact_shares():
    rows = list(range(300))
    codes = assign(["train"] * 300, np.arange(300, dtype=np.int32) % 3, digests(rows), STRATIFIED, 1)

    counts = class_counts(codes, np.arange(300) % 3, ["a", "b", "c"])

    assert counts == {
        "train": {"a": 70, "b": 70, "c": 70},
        "validation": {"a": 10, "b": 10, "c": 10},
        "test": {"a": 20, "b": 20, "c": 20},
    }


def test_by_hash_the_shares_come_out_and_another_seed_draws_other_rows():
    rows = list(range(1, 20_001))
    parts = parts_of(rows, HASH)
    shares = [sum(part == name for part in parts.values()) / len(rows) for name in PARTS]

    assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.015)
    assert parts_of(rows, HASH, seed=2) != parts


def test_source_without_test_rows_says_what_to_set():
    with pytest.raises(DataError, match=r"set split\.method to stratified or hash"):
        assign(["train"] * 3, np.zeros(3, np.int32), digests([1, 2, 3]), SOURCE, 1)


def test_a_class_without_rows_in_a_part_is_named():
    codes, labels = np.array([0, 1, 2, 0, 1], np.int8), np.array([0, 0, 0, 1, 1])

    with pytest.raises(DataError, match="class 'b' has no rows in the test part, of 2 in all"):
        class_counts(codes, labels, ["a", "b"])


def test_a_digest_or_an_id_in_two_parts_is_named():
    codes = np.array([0, 1], np.int8)
    with pytest.raises(DataError, match="content digest d is both in the train and in the validation part"):
        prove_apart(codes, ["x", "y"], ["d", "d"])
    with pytest.raises(DataError, match="id x is both in the train and in the validation part"):
        prove_apart(codes, ["x", "x"], ["d", "e"])
    assert prove_apart(codes, ["x", "y"], ["d", "e"])["distinct_content_digests"] == 2
