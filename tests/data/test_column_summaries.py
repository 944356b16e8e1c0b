"""What people are told of a column: every row is in the histogram or counted beside it, and edges can be read."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.column_summaries import MOST_BINS, of_categories, of_numbers, of_texts, spread_of
from pipeline.data.feature_kinds import specs
from pipeline.data.features import category, number, text
from pipeline.recipe.slots import Feature
from pipeline.records.columns import ColumnSummary, Distribution, Histogram
from tests.data.columns import clean, column_spec, fitted

NUMBERS = st.one_of(st.integers(-50, 50).map(float), st.floats(-1e30, 1e30))


def counted(values: list[float]) -> tuple[Any, Any]:
    distinct, counts = np.unique(np.array(values, np.float64), return_counts=True)
    return distinct, counts


def spread(values: list[float]) -> Distribution:
    found = spread_of(*counted(values), "value")
    assert found is not None
    return found


def histogram(values: list[float]) -> Histogram:
    found = spread(values).histogram
    assert found is not None
    return found


@given(st.lists(NUMBERS, min_size=1, max_size=60))
def test_every_row_is_in_a_bin_or_counted_beyond(values: list[float]) -> None:
    found = spread(values)
    if found.histogram is None:
        assert max(values) - min(values) <= 1e-9 * max(1, abs(max(values)), abs(min(values)))
        return
    edges, rows = found.histogram.edges, found.histogram.rows
    assert list(rows) == [sum(low <= value < high for value in values) for low, high in pairwise(edges)]
    assert found.histogram.below == sum(value < edges[0] for value in values)
    assert found.histogram.above == sum(value >= edges[-1] for value in values)
    assert len(rows) <= MOST_BINS + 2


@given(st.lists(NUMBERS, min_size=4, max_size=60))
def test_at_least_half_of_the_rows_are_drawn(values: list[float]) -> None:
    drawn = spread(values).histogram
    assert drawn is None or 2 * sum(drawn.rows) >= len(values)


def test_whole_numbers_of_a_small_range_have_a_bin_each() -> None:
    found = histogram([float(hour) for hour in range(24) for _ in range(hour + 1)])
    assert found.edges == tuple(hour - 0.5 for hour in range(25))
    assert found.rows == tuple(range(1, 25))


def test_whole_numbers_of_a_large_range_share_bins_of_whole_width() -> None:
    edges = histogram([float(value) for value in range(1000)]).edges
    assert set(np.diff(edges)) == {50.0}
    assert edges[0] == 0


def test_edges_can_be_read() -> None:
    assert histogram([0.0, 0.13, 0.4, 1.0]).edges[:4] == (0.0, 0.05, 0.1, 0.15)


def test_one_value_far_away_does_not_leave_all_others_in_one_bin() -> None:
    found = histogram([*np.linspace(0, 10, 101).tolist(), 1e9, 1e9])
    assert (found.below, found.above) == (0, 2)
    assert max(found.rows) < 20


def test_where_most_rows_have_one_value_the_others_are_drawn_too() -> None:
    found = histogram([0.0] * 95 + [float(value) for value in range(1, 6)])
    assert sum(found.rows) + found.above == 100
    assert sum(rows > 0 for rows in found.rows) > 3


def test_a_constant_column_has_no_histogram() -> None:
    found = spread([7.0, 7.0])
    assert (found.histogram, found.minimum, found.median, found.mean) == (None, 7.0, 7.0, 7.0)


def test_no_values_and_values_beyond_arithmetic_have_no_figures() -> None:
    assert spread_of(*counted([]), "value") is None
    assert spread_of(*counted([-1e308, 1e308]), "value") is None


def test_the_commonest_categories_come_first_and_the_others_are_counted() -> None:
    counts = np.array([5, 9, 9, *[1] * 30])
    found = ColumnSummary(name="x", kind="category", **of_categories([f"c{n:02}" for n in range(33)], counts, 4))
    assert found.commonest is not None
    assert [(each.text, each.rows) for each in found.commonest.top[:3]] == [("c01", 9), ("c02", 9), ("c00", 5)]
    assert (len(found.commonest.top), found.commonest.distinct, found.commonest.others) == (20, 33, 13)
    assert (found.rows, found.missing) == (57, 4)


def test_a_long_text_is_told_by_its_beginning() -> None:
    [told] = of_categories(["x" * 1000], np.array([1]), 0)["commonest"].top
    assert told.text == "x" * 199 + "…"


def test_texts_are_told_by_their_lengths_and_commonest_terms() -> None:
    words = [f"w{n}" for n in range(50)]
    found = ColumnSummary(name="x", kind="text", **of_texts({0: 2, 3: 5, 10: 1}, words, list(range(99, 49, -1))))
    assert (found.rows, found.missing, found.missing_word) == (8, 2, "without a term")
    assert found.distribution is not None
    assert (found.distribution.minimum, found.distribution.median, found.distribution.maximum) == (0, 3, 10)
    assert found.commonest is not None
    assert (found.commonest.distinct, len(found.commonest.top), found.commonest.others) == (50, 30, None)
    assert (found.commonest.top[0].text, found.commonest.top[0].rows) == ("w0", 99)


def test_no_text_at_all_has_no_lengths() -> None:
    assert of_texts({}, [], [])["distribution"] is None


@pytest.mark.long
@given(st.lists(st.one_of(st.none(), st.integers(-9, 9)), min_size=2, max_size=30), st.integers(0, 30), st.randoms())
def test_neither_pieces_nor_order_change_what_is_told(values: list[int | None], cut: int, random: Random) -> None:
    if not any(value is not None for value in values):
        return
    texts = [None if value is None else str(value) for value in values]
    shuffled = random.sample(texts, len(texts))
    for module, spec in (
        (number, column_spec("number", missing="mean", unit="min")),
        (category, column_spec("category", missing="unknown")),
    ):
        learned = fitted(spec, texts)
        whole = module.summary(learned, [module.learn(spec, clean(spec, texts))])
        pieces = [module.learn(spec, clean(spec, part)) for part in (shuffled[cut:], shuffled[:cut])]
        assert module.summary(learned, pieces) == whole
        assert whole["rows"] == len(values)
        assert whole["missing"] == values.count(None)


@pytest.mark.parametrize("unit", ["", "min"])
def test_numbers_have_their_unit(unit: str) -> None:
    assert of_numbers(*counted([1.0, 2.0]), 1, unit)["distribution"].unit == unit


@given(
    st.lists(st.sampled_from([None, "", "one two", "two", "two three four", "..."]), max_size=12), st.integers(0, 12)
)
def test_texts_are_told_by_what_their_kind_learns(texts: list[str | None], cut: int) -> None:
    rows = pa.table({"x": pa.array([*texts, "two"], pa.string())})
    [spec] = specs({"x": Feature(kind="text", settings={"missing": "empty", "at_least": 1})})
    pieces = [text.learn(spec, piece) for piece in (rows.slice(cut), rows.slice(0, cut))]
    learned = spec.changed(fitted=text.fit(spec, pieces))

    told = ColumnSummary(name="x", kind="text", **text.summary(learned, pieces))

    assert text.summary(learned, [text.joined(spec, pieces)]) == text.summary(learned, pieces)
    assert (told.rows, told.missing_word) == (len(texts) + 1, "without a word")
    assert told.missing == sum(each in (None, "", "...") for each in texts)
    assert told.distribution is not None
    assert told.distribution.maximum == max(len((each or "").strip(".").split()) for each in [*texts, "two"])
    assert told.commonest is not None
    assert told.commonest.of == "words in the vocabulary"
    assert told.commonest.top[0].rows == sum("two" in (each or "") for each in texts) + 1


def test_terms_of_several_words_are_called_terms() -> None:
    [spec] = specs({"x": Feature(kind="text", settings={"ngrams": [1, 2], "at_least": 1})})
    pieces = [text.learn(spec, pa.table({"x": ["one two three"]}))]
    told = text.summary(spec.changed(fitted=text.fit(spec, pieces)), pieces)
    assert told["distribution"].of == "terms of a text"
    assert told["distribution"].maximum == 5
