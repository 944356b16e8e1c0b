"""Which of equal rows are kept: what Spark finds in one go for many groups is what a plain statement of it says."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from pipeline.data.cleaning import CONFLICT, DUPLICATE, FACTS_SCHEMA, compared
from pipeline.recipe.recipe import EqualRows
from tests.data.equal_rows import Row, rank_of, rejected

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


BOTH_REJECTED = EqualRows()
PARTS = ("train", "train", "validation", "test")


def found_by(
    spark: SparkSession, rows: list[Row], *, is_test_given: bool, equal_rows: EqualRows = BOTH_REJECTED
) -> dict[Row, str]:
    facts = [
        {
            "shard": row.number // 100,
            "position": row.number % 100,
            "reason": None,
            "column": None,
            "detail": None,
            "content": row.content,
            "label": row.label,
            "rank": rank_of(row),
            "delivered": row.delivered,
            "source": f"{row.part}-images",
            "row": row.number,
        }
        for row in rows
    ]
    found = compared(
        spark.createDataFrame(pa.Table.from_pylist(facts, FACTS_SCHEMA)),
        classes=["a", "b"],
        is_test_given=is_test_given,
        equal_rows=equal_rows,
    )
    at = {(row.number // 100, row.number % 100): row for row in rows}
    return {at[line["shard"], line["position"]]: line["reason"] for line in found.toArrow().to_pylist()}


@pytest.mark.parametrize("is_test_given", [True, False])
@pytest.mark.parametrize("duplicates", ["reject", "keep"])
@pytest.mark.parametrize("conflicts", ["reject", "keep"])
def test_spark_finds_what_the_rule_says_of_any_equal_rows(
    spark: SparkSession, is_test_given: bool, duplicates: str, conflicts: str
) -> None:
    draw = random.Random(13)
    rows = [
        Row(f"content {draw.randrange(250)}", draw.choice([0, 1, None]), draw.choice(PARTS), number, draw.randrange(3))
        for number in range(600)
    ]
    options = {
        "is_test_given": is_test_given,
        "equal_rows": EqualRows(duplicates=duplicates, conflicts=conflicts),
    }

    assert found_by(spark, rows, **options) == rejected(rows, **options)


def test_which_of_equal_rows_is_kept_does_not_depend_on_their_order(spark: SparkSession) -> None:
    rows = [Row("content", 0, "train", number, delivered) for number, delivered in enumerate((3, 1, 2))]
    turned = [row._replace(number=2 - row.number) for row in rows]

    for given in (rows, turned):
        assert {row.delivered for row in found_by(spark, given, is_test_given=False)} == {2, 3}


def test_appended_copies_of_test_rows_under_other_labels_take_no_given_test_row_along(spark: SparkSession) -> None:
    test = [Row(f"content {number}", 0, "test", number) for number in range(4)]
    copies = [Row(row.content, 1, "train", 100 + row.number) for row in test[:3]]
    same = Row("content 3", 0, "train", 200)

    assert found_by(spark, [*test, *copies, same], is_test_given=True) == {
        **dict.fromkeys(copies, CONFLICT),
        same: DUPLICATE,
    }
    assert found_by(spark, [*test, *copies, same], is_test_given=False) == {
        **dict.fromkeys([*test[:3], *copies], CONFLICT),
        same: DUPLICATE,
    }


def test_test_rows_that_contradict_each_other_all_go_and_so_does_what_equals_them(spark: SparkSession) -> None:
    rows = [Row("content", 0, "test", 0), Row("content", 1, "test", 1), Row("content", 1, "train", 2)]

    assert found_by(spark, rows, is_test_given=True) == dict.fromkeys(rows, CONFLICT)


def test_the_detail_names_the_row_that_is_kept_or_the_labels_that_contradict_each_other(spark: SparkSession) -> None:
    rows = [Row("one", 0, "train", 0), Row("one", 0, "test", 1), Row("two", 1, "train", 2), Row("two", 0, "train", 3)]
    facts = [
        {
            **dict.fromkeys(FACTS_SCHEMA.names),
            "shard": 0,
            "position": row.number,
            "content": row.content,
            "label": row.label,
            "rank": rank_of(row),
            "source": f"{row.part}.zip",
            "row": row.number,
        }
        for row in rows
    ]
    found = compared(
        spark.createDataFrame(pa.Table.from_pylist(facts, FACTS_SCHEMA)), classes=["cat", "dog"], is_test_given=False
    )

    told = {line["position"]: line["detail"] for line in found.toArrow().to_pylist()}
    assert told == {0: "of test.zip row 1", **dict.fromkeys([2, 3], "equal rows are labelled cat, dog")}


def test_a_row_that_has_a_reason_already_equals_nothing(spark: SparkSession) -> None:
    facts = {**dict.fromkeys(FACTS_SCHEMA.names), "shard": 0, "label": 7, "rank": 2, "source": "file", "row": 0}
    rows = [{**facts, "position": 0, "reason": "empty"}, {**facts, "position": 1, "reason": "empty"}]

    frame = spark.createDataFrame(pa.Table.from_pylist(rows, FACTS_SCHEMA))

    assert compared(frame, classes=["cat"], is_test_given=False).toArrow().num_rows == 0
