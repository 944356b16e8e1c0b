"""What is counted outside Spark, because the table is small, is what Great Expectations counts in Spark."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.contracts import checking, values
from pipeline.contracts.suites import Expectation, Suite

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

NAN, INFINITY = math.nan, math.inf
COLUMNS: dict[str, tuple[str, list[Any]]] = {
    "id": ("string", [f"r{row}" for row in range(8)]),
    "real": ("double", [1.0, 2.0, NAN, None, -0.0, 0.0, INFINITY, 2.0]),
    "finite": ("float", [0.1, 0.2, 0.7, None, -0.0, 0.0, 3.3, 0.1]),
    "whole": ("bigint", [1, 2, 2, None, 2**62, -7, None, 1]),
    "text": ("string", ["a", "a\n", "", None, "it's \\d", "ä", None, "a"]),
    "long": ("string", ["x" * 500, "x" * 500 + "y", None, "x", "x", "y", "z", "x" * 500]),
    "day": ("date", [date(2020, 1, 1), None, date(2020, 1, 2), date(2020, 1, 1), None, None, None, None]),
    "flag": ("boolean", [True, False, None, None, True, True, False, True]),
    "nothing": ("int", [None] * 8),
}
GREATER = {"type": "comparison", "column": {"name": "whole"}, "operator": ">", "parameter": 1}
EVERY_COLUMN: list[tuple[str, dict[str, Any]]] = [
    ("expect_column_values_to_not_be_null", {}),
    ("expect_column_values_to_be_null", {"mostly": 0.3}),
    ("expect_column_values_to_be_unique", {}),
    ("expect_column_unique_value_count_to_be_between", {"min_value": 4}),
    ("expect_column_proportion_of_unique_values_to_be_between", {"min_value": 0.8}),
]
CROSSED = ("real", "whole", "text", "long", "day", "nothing")
NUMBERS: list[tuple[str, dict[str, Any]]] = [
    ("expect_column_values_to_be_between", {"min_value": 0}),
    ("expect_column_values_to_be_between", {"min_value": -0.5, "max_value": 2, "strict_max": True}),
    ("expect_column_values_to_be_between", {"min_value": 0, "max_value": 2**40, "strict_min": True}),
    ("expect_column_mean_to_be_between", {"min_value": 0}),
]
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("expect_column_values_to_be_in_set", {"column": "whole", "value_set": [1, 2]}),
    ("expect_column_values_to_be_in_set", {"column": "whole", "value_set": [1, 2**62]}),
    ("expect_column_values_to_be_in_set", {"column": "whole", "value_set": ["1"]}),
    ("expect_column_values_to_be_in_set", {"column": "whole", "value_set": ["one"]}),  # an error of Spark's
    ("expect_column_values_to_be_in_set", {"column": "text", "value_set": ["a", "it's \\d", ""]}),
    ("expect_column_values_to_match_regex", {"column": "text", "regex": "^a$"}),
    ("expect_column_values_to_match_regex", {"column": "text", "regex": "it's \\\\d|^$"}),
    ("expect_column_values_to_match_regex", {"column": "text", "regex": "(a"}),  # another
    ("expect_column_distinct_values_to_contain_set", {"column": "text", "value_set": ["a", "b", "b"]}),
    ("expect_column_distinct_values_to_contain_set", {"column": "whole", "value_set": [1, 3]}),
    ("expect_column_distinct_values_to_be_in_set", {"column": "text", "value_set": ["a"]}),
    ("expect_column_distinct_values_to_equal_set", {"column": "whole", "value_set": [1, 2, -7, 2**62]}),
    (
        "expect_column_kl_divergence_to_be_less_than",
        {"column": "text", "partition_object": {"values": ["a", "ä"], "weights": [0.5, 0.5]}, "threshold": 0.1},
    ),
    ("expect_compound_columns_to_be_unique", {"column_list": ["whole", "text"]}),
    *(
        ("expect_compound_columns_to_be_unique", {"column_list": ["whole", "flag"], "ignore_row_if": ignored})
        for ignored in ("never", "any_value_is_missing", "all_values_are_missing")
    ),
    ("expect_compound_columns_to_be_unique", {"column_list": ["long", "flag"]}),
    (
        "expect_column_unique_value_count_to_be_between",
        {"column": "text", "max_value": 1, "row_condition": GREATER},
    ),
    ("expect_column_values_to_be_between", {"column": "text", "min_value": 1}),  # a type that it refuses
    ("expect_column_mean_to_be_between", {"column": "text", "min_value": 1}),
]


def frame_of(spark: SparkSession, rows: int = 8) -> DataFrame:
    schema = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
    return spark.createDataFrame(list(zip(*(found[:rows] for _, found in COLUMNS.values()), strict=True)), schema)


def suite_of(expectations: list[tuple[str, dict[str, Any]]]) -> Suite:
    declared = [Expectation(kind, kwargs, f"{number}, {kind}") for number, (kind, kwargs) in enumerate(expectations)]
    return Suite("tested", tuple(declared), Path("tested.yaml"))


def outcomes(frame: DataFrame, expectations: list[tuple[str, dict[str, Any]]]) -> list[tuple[Any, ...]]:
    suite = suite_of([("expect_table_row_count_to_be_between", {"min_value": 1}), *expectations])
    checked = checking.check(frame, suite, checking.bind(suite), "sha256:00")
    return [
        # Of an error only its class: Spark's message tells where in the code the expression was made.
        (each.type, each.column, each.outcome, each.observed, each.unexpected_rows, each.offending_ids, each.details)
        for each in checked.result.expectations
    ]


@pytest.mark.parametrize(
    ("part", "rows"), [("every column", 8), ("every column", 0), ("numbers", 8), ("numbers", 0), ("others", 8)]
)
def test_a_table_has_the_same_result_whether_it_is_small_or_large(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, part: str, rows: int
) -> None:
    expectations = {
        "every column": [(kind, {**kwargs, "column": name}) for name in CROSSED for kind, kwargs in EVERY_COLUMN],
        "numbers": [
            (kind, {**kwargs, "column": name}) for name in ("real", "finite", "whole") for kind, kwargs in NUMBERS
        ],
        "others": OTHERS,
    }[part]
    frame = frame_of(spark, rows).persist()
    small = outcomes(frame, expectations)
    monkeypatch.setattr(values, "ROWS_AT_MOST", -1)
    assert small == outcomes(frame, expectations)
    frame.unpersist()


def test_of_a_large_table_nothing_is_kept(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "ROWS_AT_MOST", 7)
    assert values.fetch(frame_of(spark), ["id"], ["id IS NULL"], []) is None
    monkeypatch.setattr(values, "ROWS_AT_MOST", 8)
    found = values.fetch(frame_of(spark), ["id"], ["id IS NULL"], [])
    assert found is not None
    assert (found.rows, found.conditions) == (8, {"id IS NULL": 0})


def test_long_texts_and_floats_are_left_to_spark(spark: SparkSession) -> None:
    found = values.fetch(frame_of(spark), ["finite", "id", "long", "real"], [], ["finite", "text"])
    assert found is not None
    assert found.columns.column_names == ["id"]
    assert list(found.means) == ["finite"]
