"""Tasks on Spark, one a shard: their order, their progress, their errors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.data.shard_tasks import run_tasks
from pipeline.errors import DataError, StorageError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_tasks_return_in_order_and_progress_ends_with_every_row(spark: SparkSession):
    seen: list[tuple[int, int]] = []

    squares = run_tasks(
        spark, lambda n: n * n, [(n, 10) for n in range(9)], lambda done, total: seen.append((done, total))
    )

    assert squares == [n * n for n in range(9)]
    assert seen[-1] == (90, 90)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_an_error_in_a_task_arrives_as_it_was_raised(spark: SparkSession):
    def refuse(number: int) -> int:
        if number == 2:
            raise DataError("shard 2: bad")
        return number

    def lose(_: int) -> bytes:
        return Path("/nowhere/at-all").read_bytes()

    with pytest.raises(DataError, match=r"^shard 2: bad$"):
        run_tasks(spark, refuse, [(n, 1) for n in range(4)], lambda done, total: None)
    with pytest.raises(StorageError, match=r"^/nowhere/at-all: cannot be read or written"):
        run_tasks(spark, lose, [(0, 1)], lambda done, total: None)
