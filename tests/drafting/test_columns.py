"""What columns of texts hold, counted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.drafting.columns import MOST_VALUES, NOTHINGS, Column, count_columns, looks_like_an_id

TEXTS = st.one_of(
    st.none(),
    st.sampled_from(["", " ", "7", "007", "1,5", "-2.5e3", "1e999", "2020-01-31", "ein kurzer Satz", "ä", *NOTHINGS]),
    st.integers(-100, 100).map(str),
)


def column(texts: Sequence[str | None], name: str = "size") -> Column:
    [counted], _ = count_columns([pa.table({"c0": pa.array(texts, pa.string())})], [name])
    return counted


@given(st.lists(TEXTS, min_size=1, max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_however_tables_are_cut_the_counts_are_the_same(texts: list[str | None], cuts: list[int]) -> None:
    whole = pa.table({"c0": pa.array(texts, pa.string())})
    ends = [0, *sorted(min(cut, len(texts)) for cut in cuts), len(texts)]
    pieces = [whole.slice(begin, end - begin) for begin, end in pairwise(ends)]
    [found], _ = count_columns(pieces, ["size"])
    assert found == column(texts)


@given(
    st.lists(TEXTS, min_size=1, max_size=60).flatmap(lambda texts: st.tuples(st.just(texts), st.permutations(texts)))
)
def test_the_order_of_rows_says_nothing(texts: tuple[list[str | None], list[str | None]]) -> None:
    assert column(texts[0]) == column(texts[1])


@given(st.lists(TEXTS, min_size=1, max_size=60))
def test_each_row_is_blank_or_nothing_or_has_a_value(texts: list[str | None]) -> None:
    found = column(texts)
    assert found.rows == len(texts)
    assert found.blank == sum(text is None or not text.strip() for text in texts)
    assert found.given == sum(bool(text and text.strip()) and text not in NOTHINGS for text in texts)
    assert found.distinct == len({text for text in texts if text and text.strip() and text not in NOTHINGS})


@pytest.mark.parametrize(
    ("texts", "decimal", "whole", "codes"),
    [
        (["1", "2", " 3 "], ".", 3, 0),
        (["1", "2.5"], ".", 1, 0),
        (["1", "2,5"], ",", 1, 0),
        (["1.5", "2,5"], None, 0, 0),
        (["1", "NA", "", None], ".", 1, 0),
        (["NA", ""], None, 0, 0),
        (["1", "x"], None, 1, 0),
        (["007", "12"], ".", 2, 1),
        (["0.5", "0"], ".", 1, 0),
    ],
)
def test_a_column_is_a_number_if_all_that_is_there_is_one(
    texts: list[str | None], decimal: str | None, whole: int, codes: int
) -> None:
    found = column(texts)
    assert (found.decimal, found.whole, found.codes) == (decimal, whole, codes)


def test_nothings_are_values_in_a_column_of_texts_and_none_in_one_of_numbers() -> None:
    assert column(["None", "Minor", "None"]).levels == 2
    assert column(["None", "1", "2"]).levels == 2


def test_of_many_values_only_so_many_are_counted_and_the_rest_is_still_known() -> None:
    found = column([f"{number}.5" for number in range(MOST_VALUES + 1)])
    assert found.values is None
    assert (found.distinct, found.low, found.high, found.decimal) == (MOST_VALUES, 0.5, MOST_VALUES + 0.5, ".")


def test_lengths_and_words_are_those_of_all_rows() -> None:
    found = column(["one two three", "one two three", "ä"])
    assert (found.words, found.characters, found.longest) == (7, 27, 13)


def test_rows_that_cannot_be_used_are_counted_by_their_problem_alone() -> None:
    table = pa.table({"c0": ["1", None, "2"], "problem": pa.array([None, "unbalanced quotes", None], pa.string())})
    [found], problems = count_columns([table], ["size"])
    assert (found.rows, dict(problems)) == (2, {"unbalanced quotes": 1})


@pytest.mark.parametrize(
    ("name", "texts", "expected"),
    [
        ("id", ["1", "2"], True),
        ("Row", ["a", "b"], True),
        ("flight_no", ["1", "2"], True),
        ("", ["1", "2"], False),
        ("x1", ["1", "2"], False),
        ("Length (mm)", ["1", "2"], False),
        ("rownames", ["1", "2"], True),
        ("id", ["1", "1"], False),
        ("id", ["1", ""], False),
        ("paid", ["1", "2"], False),
        ("size", ["1", "2"], False),
    ],
)
def test_an_id_is_called_so_and_is_another_one_in_each_row(name: str, texts: list[str], expected: bool) -> None:
    assert looks_like_an_id(column(texts, name)) is expected
