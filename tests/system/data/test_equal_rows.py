"""Which of equal rows are kept: what Spark finds in one go for many groups is what a plain statement of it says."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from pipeline.data.cleaning import CONFLICT, DUPLICATE, FACTS_SCHEMA, compared
from tests.data.equal_rows import Row, rejected

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def found_by(spark: SparkSession, rows: list[Row], *, is_test_given: bool) -> dict[Row, str]:
    facts = [
        {
            "shard": row.number // 100,
            "position": row.number % 100,
            "reason": None,
            "content": row.content,
            "held": None,
            "label": row.label,
            "is_training": row.part != "test",
            "source": f"{row.part}-images",
            "row": row.number,
        }
        for row in rows
    ]
    found = compared(spark.createDataFrame(pa.Table.from_pylist(facts, FACTS_SCHEMA)), is_test_given=is_test_given)
    at = {(row.number // 100, row.number % 100): row for row in rows}
    return {at[line["shard"], line["position"]]: line["reason"] for line in found.toArrow().to_pylist()}


@pytest.mark.parametrize("is_test_given", [True, False])
def test_spark_finds_what_the_rule_says_of_any_equal_rows(spark: SparkSession, is_test_given: bool) -> None:
    draw = random.Random(13)
    rows = [
        Row(f"content {draw.randrange(250)}", draw.randrange(2), draw.choice(["train", "train", "test"]), number)
        for number in range(600)
    ]

    assert found_by(spark, rows, is_test_given=is_test_given) == rejected(rows, is_test_given=is_test_given)


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
