"""Ids: functions of the content, never of its place."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.identity import RowNames


def test_equal_rows_are_counted_and_part_and_label_are_of_the_name():
    first, second, other_label, other_part = RowNames().names(
        ["train", "train", "train", "test"], [0, 0, 1, 0], ["d"] * 4
    )

    assert len({first, second, other_label, other_part}) == 4


def test_a_row_is_named_alike_in_whatever_batch_it_comes():
    at_once, one_by_one = RowNames(), RowNames()

    assert at_once.names(["train"] * 3, [0] * 3, ["d"] * 3) == [
        one_by_one.names(["train"], [0], ["d"])[0] for _ in range(3)
    ]


def test_a_row_has_the_id_it_has_always_had():
    assert RowNames().names(["train"], [3], ["d"]) == ["5931c27ee41956399c6178e8b9aec483"]


@given(rows=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20)), max_size=200), data=st.data())
def test_however_rows_are_cut_up_their_ids_count_the_equal_ones_before_them(rows, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=6)))
    names, found = RowNames(), []
    for begin, end in pairwise([0, *cuts, len(rows)]):
        some = rows[begin:end]
        found += names.names(["train"] * len(some), [1] * len(some), [f"{letter}{n}" for letter, n in some])

    earlier: Counter[str] = Counter()
    for (letter, number), row_id in zip(rows, found, strict=True):
        digest = f"{letter}{number}"
        expected = hashlib.sha256(f"train\0{1}\0{digest}\0{earlier[digest]}".encode()).hexdigest()[:32]
        earlier[digest] += 1
        assert row_id == expected
    assert len(set(found)) == len(rows)


def test_of_a_row_that_comes_once_little_is_kept():
    names, rows = RowNames(), 2**15
    tracemalloc.start()
    for begin in range(0, rows, 1024):
        names.names(["train"] * 1024, [1] * 1024, [str(number) for number in range(begin, begin + 1024)])
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 24 * rows
