"""The contracts of a table: what was found, widened, so that they hold for what they were made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.contracts.suites import read_suite
from pipeline.drafting.columns import NOTHINGS, Column, count_columns
from pipeline.drafting.config import suite_text
from pipeline.drafting.expectations import Expected, Section
from pipeline.drafting.measuring import Range, Table
from pipeline.drafting.table_suites import prepared_table_suite, raw_column, raw_table_suite

RAW = ("id", "label", "part", "source", "row", "content_digest", "problem", "detail", "size", "colour", "body")
PREPARED = ("id", "label", "part", "copy", "source_id", "source_part", "parts_with_row", "size_scaled")
TEXTS = st.one_of(
    st.none(), st.sampled_from(["", " ", "red", "blue", *NOTHINGS]), st.text(alphabet="ab 1é", max_size=8)
)


def column(texts: Sequence[str | None], name: str = "size") -> Column:
    [counted], _ = count_columns([pa.table({"c0": pa.array(texts, pa.string())})], [name])
    return counted


def of_type(sections: list[Section], kind: str, name: str) -> list[dict[str, Any]]:
    return [
        each.kwargs
        for section in sections
        for each in section.expectations
        if each.type == kind and each.kwargs.get("column") == name
    ]


def holds(expected: Expected, values: Sequence[str | None]) -> bool:
    """Return whether values are as expected, in Great Expectations' meaning of the words."""
    kwargs = expected.kwargs
    there = [value for value in values if value is not None]
    match expected.type:
        case "column_values_to_not_be_null":
            good, of = len(there), len(values)
        case "column_values_to_match_regex":
            good, of = sum(bool(re.search(kwargs["regex"], value)) for value in there), len(there)
        case "column_values_to_be_in_set":
            good, of = sum(value in kwargs["value_set"] for value in there), len(there)
        case "column_value_lengths_to_be_between":
            good, of = sum(kwargs["min_value"] <= len(value) <= kwargs["max_value"] for value in there), len(there)
        case other:
            raise AssertionError(other)
    return not of or good / of >= kwargs.get("mostly", 1)


@given(
    st.lists(TEXTS, min_size=1, max_size=80),
    st.integers(0, 5),
    st.sets(st.sampled_from(NOTHINGS), max_size=3),
    st.sampled_from(["category", "text"]),
)
def test_what_a_column_of_texts_promises_holds_for_it(
    texts: list[str | None], unusable: int, missing: set[str], kind: str
) -> None:
    assume(any(text and text.strip() and text not in missing for text in texts))  # else it would be no feature
    blank = {"", *missing}
    raw = [None if text in blank else text for text in texts] + [None] * unusable
    for expected in raw_column("size", kind, column(texts), len(raw), missing):
        assert holds(expected, raw), expected


@given(st.lists(st.one_of(st.just("NA"), st.floats(-1e9, 1e9).map(str)), min_size=1, max_size=80), st.booleans())
def test_what_a_column_of_numbers_promises_holds_for_it(texts: list[str], is_comma: bool) -> None:
    if is_comma:
        texts = [text.replace(".", ",") for text in texts]
    counted = column(texts)
    if counted.decimal is None:
        return
    raw = [None if text == "NA" else text for text in texts]
    for expected in raw_column("size", "number", counted, len(raw), ("", "NA")):
        assert holds(expected, raw), expected


def test_few_texts_are_listed_and_of_many_the_lengths_are_bounded() -> None:
    few = raw_column("size", "category", column(["b", "a", "NA"] * 9), 27, ("", "NA"))
    assert few[1].kwargs == {"column": "size", "value_set": ["a", "b"], "mostly": 0.99}
    many = raw_column("size", "category", column([f"v{number}" for number in range(99)]), 99)
    assert many[1].kwargs == {"column": "size", "min_value": 0, "max_value": 6}


def suite(shares: Sequence[float] = (0.75, 0.25), **changed: Any) -> list[Section]:
    features = {
        "size": ("number", column(["1.5", "2", "NA", ""] * 25)),
        "colour": ("category", column(["red", "blue"] * 50)),
        "body": ("text", column(["some words are here"] * 100)),
    }
    given: dict[str, Any] = {"problems": {}, "unlabelled": 0, "unknown": 0, "missing": ("", "NA")} | changed
    return raw_table_suite(Table(100, RAW, {}), features, shares=shares, **given)


def test_rows_that_lack_a_target_or_cannot_be_used_may_be_twice_as_many_and_one_in_a_hundred() -> None:
    sections = suite(unlabelled=10, problems={"unbalanced quotes": 5})
    assert of_type(sections, "column_values_to_not_be_null", "label") == [{"column": "label", "mostly": 0.69}]
    assert of_type(sections, "column_values_to_be_null", "problem") == [{"column": "problem", "mostly": 0.89}]
    assert of_type(suite(), "column_values_to_not_be_null", "label") == [{"column": "label", "mostly": 0.99}]


def test_values_that_are_no_classes_are_expected_as_often_as_they_were_found() -> None:
    [without] = of_type(suite(), "column_values_to_be_in_set", "label")
    [some] = of_type(suite(unknown=20), "column_values_to_be_in_set", "label")
    assert (without["mostly"], some["mostly"]) == (0.99, 0.59)
    [before] = of_type(suite(), "column_kl_divergence_to_be_less_than", "label")
    [after] = of_type(suite(unknown=20), "column_kl_divergence_to_be_less_than", "label")
    assert after["threshold"] > before["threshold"]


def test_a_number_as_target_has_no_classes_in_its_contract() -> None:
    for sections in (suite(shares=()), prepared_table_suite(Table(90, PREPARED, {}), (), 90)):
        assert not of_type(sections, "column_values_to_be_in_set", "label")
        assert not of_type(sections, "column_values_to_be_of_type", "label")
        assert of_type(sections, "column_values_to_not_be_null", "label")


@pytest.mark.parametrize(
    ("found", "bounds"),
    [
        (Range(-2.0, 3.0, 0.0, 1.0), (-7.0, 8.0)),
        (Range(1.0, 5.0, 3.0, 1.0), (0.0, 9.0)),
        (Range(0.0, 0.0, 0.0, 0.0), (0.0, 1.0)),
        (Range(-1.0, -1.0, -1.0, 0.0), (-2.0, 0.0)),
    ],
)
def test_a_prepared_value_may_go_beyond_what_was_found_by_as_much_as_that_is_wide(
    found: Range, bounds: tuple[float, float]
) -> None:
    sections = prepared_table_suite(Table(90, PREPARED, {"size_scaled": found}), (0.5, 0.5), 90)
    [kwargs] = of_type(sections, "column_values_to_be_between", "size_scaled")
    assert (kwargs["min_value"], kwargs["max_value"]) == bounds


@pytest.mark.parametrize("shares", [(), (0.75, 0.25)])
def test_both_are_contracts_that_a_run_takes(shares: tuple[float, ...], tmp_path: Path) -> None:
    ranges = {"size_scaled": Range(-2.0, 3.0, 0.0, 1.0)}
    prepared = prepared_table_suite(Table(90, PREPARED, ranges), shares, 90)
    for of, sections, columns in (("raw", suite(shares=shares), RAW), ("prepared", prepared, PREPARED)):
        file = tmp_path / f"{of}.yaml"
        file.write_text(suite_text("houses", of, f"data/{of}", sections))
        read_suite(file, columns)
