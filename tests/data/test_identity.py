"""Ids: functions of the content, never of its place."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.identity import RowNames, _Keys


def names(namer: RowNames, parts: list[str], labels: list[float | None], digests: list[str]) -> list[str]:
    columns = (
        pa.chunked_array([parts], pa.string()),
        pa.chunked_array([pa.array(labels)]),
        pa.array(digests, pa.string()),
    )
    return namer.names(*columns).to_pylist()


def test_equal_rows_are_counted_and_part_and_label_are_of_the_name():
    parts = ["train", "train", "train", "test"]
    first, second, other_label, other_part = names(RowNames(), parts, [0, 0, 1, 0], ["d"] * 4)

    assert len({first, second, other_label, other_part}) == 4


def test_a_row_is_named_alike_in_whatever_batch_it_comes():
    at_once, one_by_one = RowNames(), RowNames()

    singly = [names(one_by_one, ["train"], [0], ["d"])[0] for _ in range(3)]
    assert names(at_once, ["train"] * 3, [0] * 3, ["d"] * 3) == singly


def test_a_row_has_the_id_it_has_always_had():
    assert names(RowNames(), ["train"], [3], ["d"]) == ["5931c27ee41956399c6178e8b9aec483"]


@pytest.mark.parametrize("label", [None, 0, 1.0, 0.1, 1e22, -2.5])
def test_a_label_is_written_as_python_writes_it(label):
    content = f"train\0{label}\0d\0" + "0"
    assert names(RowNames(), ["train"], [label], ["d"]) == [hashlib.sha256(content.encode()).hexdigest()[:32]]


@given(rows=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20)), max_size=200), data=st.data())
def test_however_rows_are_cut_up_their_ids_count_the_equal_ones_before_them(rows, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=6)))
    namer, found = RowNames(), []
    for begin, end in pairwise([0, *cuts, len(rows)]):
        some = rows[begin:end]
        found += names(namer, ["train"] * len(some), [1] * len(some), [f"{letter}{n}" for letter, n in some])

    earlier: Counter[str] = Counter()
    for (letter, number), row_id in zip(rows, found, strict=True):
        digest = f"{letter}{number}"
        expected = hashlib.sha256(f"train\0{1}\0{digest}\0{earlier[digest]}".encode()).hexdigest()[:32]
        earlier[digest] += 1
        assert row_id == expected
    assert len(set(found)) == len(rows)


def test_of_a_row_that_comes_once_little_is_kept():
    namer, rows = RowNames(), 2**15
    tracemalloc.start()
    for begin in range(0, rows, 1024):
        names(namer, ["train"] * 1024, [1] * 1024, [str(number) for number in range(begin, begin + 1024)])
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 24 * rows


@given(
    known=st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3))), asked=st.lists(st.tuples(*[st.integers(0, 3)] * 2))
)
def test_keys_that_share_their_first_bits_are_told_apart(known, asked):
    run, _ = keys(list(known)).in_order()

    assert keys(asked).are_in(run).tolist() == [key in known for key in asked]


def keys(pairs: list[tuple[int, int]]) -> _Keys:
    return _Keys(*np.array(pairs, np.uint64).reshape(-1, 2).T)
