"""Prepared data against the shipped contract: whole parts, and nothing that leaks between them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.contracts import checking, frames
from pipeline.contracts.suites import read_suite
from tests.system.contracts.tables import Prepared, failures, shipped

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


CheckPrepared = Callable[[Prepared], checking.Checked]


@pytest.fixture
def check_prepared(spark: SparkSession, tmp_path: Path) -> CheckPrepared:
    def check(prepared: Prepared) -> checking.Checked:
        data = prepared.write(tmp_path / "data")
        parts = {part: frames.open_part(data / f"prepared/{part}") for part in ("train", "validation", "test")}
        parts["augmented"] = frames.open_part(data / "augmented")
        suite = read_suite(shipped("prepared.yaml", tmp_path), frames.prepared_columns(parts))
        return checking.check(frames.prepared_frame(spark, parts), suite, checking.bind(suite), "sha256:00")

    return check


def test_good_prepared_data_keeps_the_shipped_contract(check_prepared: CheckPrepared) -> None:
    result = check_prepared(Prepared.make()).result
    assert result.failed == []
    assert result.rows == 120 + 40 + 40 + 120


def test_prepared_data_may_have_no_changed_copies(check_prepared: CheckPrepared) -> None:
    result = check_prepared(Prepared.make(copies=0)).result
    assert (result.outcome, result.rows) == ("pass", 200)


def test_what_leaks_between_parts_is_found_with_its_ids(check_prepared: CheckPrepared) -> None:
    prepared = Prepared.make()
    train, test, augmented = (prepared.parts[part] for part in ("train", "test", "augmented"))
    test["id"][0] = train["id"][0]
    test["image"][1] = train["image"][1]
    augmented["source_id"][2] = test["id"][2]
    augmented["source_id"][3] = "nowhere"
    failed = failures(check_prepared(prepared))
    assert failed["expect_column_values_to_be_unique", "id"].offending_ids == (train["id"][0],) * 2
    twins = failed["expect_column_values_to_be_between", "parts_with_row"]
    assert twins.offending_ids == (test["id"][1], train["id"][1])
    strangers = failed["expect_column_values_to_be_in_set", "source_part"]
    # The copy of the image whose id now stands in two parts is one of them.
    assert strangers.offending_ids == tuple(sorted(augmented["id"][row] for row in (0, 2, 3)))
    assert len(failed) == 3


def test_a_part_that_is_missing_is_seen(check_prepared: CheckPrepared) -> None:
    prepared = Prepared.make()
    prepared.parts["validation"] = {name: [] for name in prepared.parts["validation"]}
    assert list(failures(check_prepared(prepared))) == [("expect_column_distinct_values_to_contain_set", "part")]
