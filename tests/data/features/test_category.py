"""Categories: what is unusable, what is equal, which get an index, which rows are left out."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.data.features import category
from pipeline.data.features.category import MISSING, NOT_IN_TRAINING, TOO_LONG, Settings
from pipeline.errors import DataError
from tests.data.columns import clean, column_spec, examined, fitted, fitted_in_pieces, left_out, prepared, raw
from tests.ranges import assert_ranges

LETTERS = st.sampled_from(["a", "b", "B", "é", "e\u0301", " a", "007", "7", ""])
TEXTS = st.one_of(st.none(), LETTERS, st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5))
RULES: list[dict[str, Any]] = [
    {"missing": "unknown"},
    {"missing": "mode", "most": 3},
    {"missing": "constant", "fill": "none", "at_least": 1, "unknown": "reject", "most": 100_000},
]


def vocabulary(texts: list[str | None], **settings: Any) -> list[str]:
    found: list[str] = (fitted(column_spec("category", **settings), texts).fitted or {})["vocabulary"]
    return found


@pytest.mark.parametrize(
    ("text", "settings", "reason"),
    [
        ("UA", {}, None),
        ("None", {}, None),
        ("NA", {}, None),
        ("nan", {}, None),
        ("=cmd|' /C calc'!A0", {}, None),
        ("\u202eright to left", {}, None),
        ("\u200b", {}, None),
        (None, {}, MISSING),
        ("", {}, MISSING),
        (" \t\u00a0", {}, MISSING),
        (None, {"missing": "unknown"}, None),
        ("  ", {"missing": "mode"}, None),
        ("x" * 1000, {}, None),
        (" " + "x" * 1000 + " ", {}, None),
        ("ä" * 1000, {}, None),
        ("x" * 1001, {}, TOO_LONG),
        ("x" * 10**7, {}, TOO_LONG),
        ("x" * 1001, {"missing": "unknown"}, TOO_LONG),
    ],
)
def test_a_text_is_unusable_for_the_first_reason_that_applies(
    text: str | None, settings: dict[str, Any], reason: str | None
) -> None:
    found = examined(column_spec("category", **settings), ["UA", text])

    assert found.reasons.tolist() == [None, reason]
    assert [detail is None for detail in found.details] == [True, reason is None]


def test_the_detail_says_what_stands_there_and_is_not_too_long() -> None:
    found = examined(column_spec("category", column="tail number"), [None, "x\n" * 1000])

    assert found.details[0] == "nothing in column tail number"
    assert found.details[1].startswith(r"more than 1000 characters: 'x\nx\n")
    assert len(found.details[1]) < 200


def test_clean_rows_hold_texts_without_blanks_around_them_in_one_form_of_unicode() -> None:
    spec = column_spec("category", missing="unknown")

    found = clean(spec, [" a\u00a0", "e\u0301", None, "", "a b", "A", "007"])

    assert found.to_pydict() == {"x": ["a", "é", None, None, "a b", "A", "007"]}


def test_texts_that_are_compared_alike_hold_the_same_and_others_do_not() -> None:
    texts = [" é", "e\u0301", "É", "007", "7", "7.0", "a b", "a  b", None, " "]

    held = examined(column_spec("category", missing="unknown"), texts).held.to_pylist()

    assert held[0] == held[1]
    assert held[8] == held[9] == ""
    assert len(set(held)) == len(held) - 2


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_what_is_compared_stays_as_it_is_when_it_is_compared_again(text: str) -> None:
    spec = column_spec("category", missing="unknown")
    [once] = examined(spec, [text]).columns["x"].to_pylist()
    assert examined(spec, [once]).columns["x"].to_pylist() == [once]


@pytest.mark.long
@given(
    st.sampled_from(RULES),
    st.lists(TEXTS, min_size=1, max_size=20),
    st.lists(st.integers(0, 20), max_size=4),
    st.randoms(),
)
def test_what_is_fitted_depends_neither_on_the_pieces_nor_on_the_order_of_rows(
    rules: dict[str, Any], texts: list[str | None], cuts: list[int], random: Random
) -> None:
    spec = column_spec("category", **rules)
    texts = [*texts, "a"]

    found = fitted_in_pieces(spec, texts, cuts, random)

    assert found == fitted(spec, texts).fitted
    assert json.loads(json.dumps(found)) == found


@given(st.sampled_from(RULES), st.lists(TEXTS, max_size=9), st.lists(TEXTS, max_size=9))
def test_an_index_is_the_place_in_the_vocabulary_or_0(
    rules: dict[str, Any], texts: list[str | None], others: list[str | None]
) -> None:
    spec = fitted(column_spec("category", **rules), [*texts, "a"])
    words, fill = (spec.fitted or {})["vocabulary"], (spec.fitted or {})["fill"]

    found = prepared(spec, others)

    assert (found.dtype, found.shape) == (np.dtype(np.int32), (len(others),))
    for index, text in zip(found, clean(spec, others)["x"].to_pylist(), strict=True):
        word = fill if text is None else text
        assert index == (words.index(word) + 1 if word in words else 0)


def test_the_vocabulary_falls_by_rows_then_rises_by_code_points() -> None:
    texts: list[str | None] = ["b", "b", "ä", "a", "Z", "\U0001f600", "b", "a", "\ufffd"]
    assert vocabulary(texts) == ["b", "a", "Z", "ä", "\ufffd", "\U0001f600"]


def test_only_the_most_frequent_categories_get_an_index_and_those_of_enough_rows() -> None:
    texts: list[str | None] = ["a"] * 3 + ["b"] * 2 + ["c"] * 2 + ["d"]

    assert vocabulary(texts, most=2) == ["a", "b"]
    assert vocabulary(texts, at_least=2) == ["a", "b", "c"]
    assert vocabulary(texts, at_least=2, most=1) == ["a"]
    assert prepared(fitted(column_spec("category", most=2), texts), ["a", "c", "x"]).tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("rule", "words", "index"),
    [
        ({"missing": "unknown"}, ["b", "a"], 0),
        ({"missing": "mode"}, ["b", "a"], 1),
        ({"missing": "constant", "fill": "a"}, ["a", "b"], 1),
        ({"missing": "constant", "fill": "none"}, ["b", "none", "a"], 2),
    ],
)
def test_a_missing_value_is_unknown_or_filled_and_counts_as_what_it_is_filled_with(
    rule: dict[str, Any], words: list[str], index: int
) -> None:
    spec = fitted(column_spec("category", **rule), ["b", "b", "b", "a", None, None, None][: 7 if "fill" in rule else 5])
    if rule.get("fill") == "none":
        spec = fitted(column_spec("category", **rule), ["b", "b", "b", "a", None, None])

    assert (spec.fitted or {})["vocabulary"] == words
    assert prepared(spec, [None, "never"]).tolist() == [index, 0]


def test_a_fill_that_no_training_row_has_is_unknown() -> None:
    spec = fitted(column_spec("category", missing="constant", fill="none"), ["a"])
    assert prepared(spec, [None]).tolist() == [0]


def test_rows_of_other_parts_are_left_out_where_the_training_part_has_not_their_category() -> None:
    spec = fitted(column_spec("category", unknown="reject", missing="unknown"), ["a", "b"])

    for part in ("validation", "test"):
        found = left_out(spec, ["a", "c\n", None], part)
        assert found == [(None, None), (NOT_IN_TRAINING, "'c'"), (None, None)]
    assert left_out(spec, ["a", "b"], "train") == [(None, None)] * 2


def test_no_row_is_left_out_where_an_unknown_category_has_an_index() -> None:
    spec = fitted(column_spec("category"), ["a", "b"])
    assert left_out(spec, ["a", "c"], "test") == [(None, None)] * 2


@pytest.mark.parametrize("texts", [[None, None], []], ids=["all missing", "no rows"])
def test_a_training_part_without_a_value_is_refused_in_one_line(texts: list[str | None]) -> None:
    spec = column_spec("category", column="tail number", missing="constant", fill="none")
    for pieces in ([category.learn(spec, clean(spec, texts))], []):
        with pytest.raises(DataError, match=r"^feature x: the training part has no value in column tail number; "):
            category.fit(spec, pieces)


def test_a_vocabulary_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match=r"^feature x: no category has 3 rows .* has 2; lower data\.features\.x\."):
        vocabulary(["a", "a", "b"], at_least=3)


def test_where_every_training_category_needs_an_index_too_many_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"has 3 categories, data\.features\.x\.settings\.most gives 2 of them an index"
    ):
        vocabulary(["a", "b", "c"], most=2, unknown="reject")


def test_the_facts_are_the_indices() -> None:
    facts, partial = category.describe(column_spec("category"), np.array([0, 3], np.int32))

    assert {name: values.tolist() for name, values in facts.items()} == {"x_index": [0, 3]}
    assert partial is None


def test_no_rows_go_through_every_verb() -> None:
    spec = fitted(column_spec("category", unknown="reject"), ["1", "2"])
    empty = pa.table({"x": pa.chunked_array([], pa.string())})

    found = category.examine(spec, empty, category.raw_digests(spec, empty))

    rows = pa.table({"x": found.columns["x"]})
    assert category.prepare(spec, rows).shape == (0,)
    assert [len(each) for each in category.left_out(spec, rows, "test")] == [0, 0]


def test_rows_in_several_chunks_are_those_of_one() -> None:
    spec = column_spec("category", missing="unknown")
    texts = ["a", None, " b", "e\u0301", "a"]
    chunked = pa.table({"x": pa.chunked_array([texts[:2], texts[2:]], pa.string())})

    found = category.examine(spec, chunked, category.raw_digests(spec, chunked))

    assert found.columns["x"].to_pylist() == clean(spec, texts)["x"].to_pylist()
    sliced = category.examine(spec, chunked.slice(1, 3), [])
    assert sliced.columns["x"].to_pylist() == [None, "b", "é"]


def test_a_category_has_these_columns_facts_and_shape() -> None:
    spec = column_spec("category")
    assert category.raw_columns("carrier") == {"carrier": "string"}
    assert category.facts("carrier") == {"carrier_index": "int32"}
    assert category.clean_columns(spec) == {"x": pa.string()}
    assert category.REASONS == (MISSING, TOO_LONG)
    assert (spec.kind, spec.dtype, spec.shape, spec.fitted) == ("category", "int32", (), None)
    assert category.working_bytes(spec) == 64
    assert category.raw_digests(spec, raw(["a", "", None])).to_pylist() == ["=a", "=", ""]


def test_the_settings_and_their_ranges() -> None:
    assert_ranges(Settings, {}, most=(1, 100_000, 0, 100_001), at_least=(1, 10**9, 0, 10**9 + 1))
    assert Settings().most == 1000
    assert Settings() == Settings(missing="reject", unknown="index", at_least=1)
    assert Settings(column="x" * 1000).column == "x" * 1000
    for wrong in ({"missing": "drop"}, {"unknown": "error"}, {"column": ""}, {"column": "x" * 1001}):
        with pytest.raises(ValidationError):
            Settings.model_validate(wrong)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"missing": "constant"}, "needs `fill`"),
        ({"missing": "mode", "fill": "a"}, "fill is for missing: constant"),
        ({"unknown": "reject", "at_least": 2}, "at_least must be 1 with unknown: reject"),
        ({"missing": "constant", "fill": ""}, "at least 1 character"),
        ({"missing": "constant", "fill": "x" * 1001}, "at most 1000 characters"),
        ({"missing": "constant", "fill": " a"}, "without blanks around it"),
        ({"missing": "constant", "fill": "e\u0301"}, "form NFC"),
        ({"missing": "constant", "fill": "a\0b"}, "without NUL"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings.model_validate(settings)


def test_a_recipe_says_how_many_indices_there_can_be() -> None:
    assert category.largest_size(category.Settings(most=9)) == 10
