"""What is counted of a source's rows while they pass."""

from __future__ import annotations

from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.entries import labels_of
from pipeline.drafting.looking import Looking
from pipeline.errors import DataError
from tests.drafting.given import delivered, looked_at, pictures


def test_names_become_numbers_in_the_order_in_which_they_come() -> None:
    looking, rows = looked_at(delivered(["dog", "cat"]), delivered(["cat", "it's 'so'", "dog"]))
    assert looking.classes == ("dog", "cat", "it's 'so'")
    assert rows["label"].to_pylist() == [0, 1, 1, 2, 0]
    assert rows["detail"].to_pylist() == [None] * 5
    assert looking.delivered.labels == {"dog": 2, "cat": 2, "it's 'so'": 1}


@given(st.text(min_size=1, max_size=60))
def test_a_class_may_be_called_anything(name: str) -> None:
    looking, _ = looked_at(delivered([name, "other"]))
    assert looking.classes == tuple(dict.fromkeys([normalize("NFC", name.strip()), "other"]))
    assert labels_of(looking.classes)(name).number == 0


def test_a_name_that_is_told_only_in_part_is_refused() -> None:
    with pytest.raises(DataError, match="has too long a name"):
        looked_at(delivered(["x" * 300]))


def test_numbers_stay_what_they_are_and_a_gap_is_a_class() -> None:
    looking, rows = looked_at(delivered([0, 3, 3]))
    assert looking.classes == ("0", "1", "2", "3")
    assert rows["label"].to_pylist() == [0, 3, 3]
    assert not looking.are_named


def test_names_are_told_from_numbers_and_without_any_label_there_is_no_class() -> None:
    assert looked_at(delivered(["dog", None]))[0].are_named is True
    looking, _ = looked_at(delivered([None]))
    assert (looking.classes, looking.are_named) == ((), False)


def test_the_smallest_and_the_largest_payload_and_each_size_are_kept_over_all_tables() -> None:
    sides = [(5, 6), (7, 8), (1, 2), (3, 4)]
    looking, _ = looked_at(
        delivered(["a", "b"], sides[:2], sizes=[30, 20]),
        delivered(["a", "b"], [*sides[2:3], (0, 9)], sizes=[9, 40]),  # a side of 0 is unknown
        delivered(["a", "b"], [*sides[3:], (9, 9)], problems=[None, "empty file"], sizes=[25, 0]),
    )
    found = looking.pictures
    assert (found.smallest_bytes, found.largest_bytes) == (9, 40)
    assert list(zip(found.heights.tolist(), found.widths.tolist(), strict=True)) == sides
    assert found.heights.dtype == np.int32
    assert (found.channels, found.are_of_one_size) == ({1: 5}, False)
    assert looking.delivered.parts == {"train": 6}


@pytest.mark.parametrize(
    ("sides", "are_of_one"), [([(5, 6)] * 3, True), ([(5, 6), (5, 7)], False), ([(5, 6), (4, 6)], False), ([], False)]
)
def test_pictures_are_of_one_size_if_both_sides_are(sides: list[tuple[int, int]], are_of_one: bool) -> None:
    assert pictures(*sides).are_of_one_size == are_of_one


def test_a_source_without_modes_and_problems_is_looked_at_too() -> None:
    table = delivered([0, None, 2], sides=[(5, 6)] * 3).drop_columns(["problem", "detail", "image_mode"])
    looking, rows = looked_at(table)
    assert rows.equals(table)
    assert looking.classes == ("0", "1", "2")
    assert (looking.delivered.unlabelled, looking.pictures.modes, looking.delivered.problems) == (1, {}, {})


def test_rows_without_a_label_are_apart() -> None:
    looking, rows = looked_at(delivered(["a", None, None]))
    assert (looking.delivered.unlabelled, looking.delivered.labels) == (2, {"a": 1})
    assert rows["label"].to_pylist() == [0, None, None]


def test_a_row_with_a_problem_says_nothing_of_pictures_and_its_detail_names_no_class() -> None:
    looking, rows = looked_at(delivered(["a", "b"], sides=[(5, 6), (7, 8)], problems=["empty file", None]))
    assert looking.classes == ("b",)
    assert rows["detail"].to_pylist() == ["'a' is none of data.classes", None]
    assert looking.delivered.problems == {"empty file": 1}
    assert (looking.pictures.heights.tolist(), looking.pictures.widths.tolist()) == ([7], [8])
    assert (looking.pictures.modes, looking.pictures.encodings) == ({"L": 1}, {"png": 1})


def test_a_class_that_is_left_out_stays_unknown_and_its_row_says_which_it_is() -> None:
    looking = Looking("image", ["a", "b"])
    rows = pa.concat_tables(list(looking.watched([delivered(["rare", 0]), delivered(["rare"]), delivered([1])])))
    assert looking.classes == ("a", "b")
    assert rows["label"].to_pylist() == [-1, 0, -1, 1]
    told = "'rare' is none of data.classes"
    assert rows["detail"].to_pylist() == [told, None, told, None]
    assert looking.delivered.unknown_labels == 2
    assert looking.delivered.labels == {"a": 1, "b": 1}


def test_labels_that_are_numbers_and_names_at_once_are_refused() -> None:
    with pytest.raises(DataError, match="some labels as numbers and some as names"):
        looked_at(delivered(["a"]), delivered([0, "b"]))


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=5), min_size=1, max_size=6))
def test_every_row_is_counted_once_however_the_tables_are_cut(pieces: list[list[str | None]]) -> None:
    looking, rows = looked_at(*map(delivered, pieces))
    found = looking.delivered
    assert found.rows == rows.num_rows == found.labels.total() + found.unlabelled
    assert len(looking.pictures.heights) == found.rows
    names = [None if label is None else looking.classes[label] for label in rows["label"].to_pylist()]
    assert names == [each for piece in pieces for each in piece]
