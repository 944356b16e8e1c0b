"""Prepared data against the shipped contract: whole parts, and nothing that leaks between them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from pipeline.contracts import checking, frames
from pipeline.contracts.offending import find_places
from pipeline.contracts.suites import read_suite
from pipeline.storage import shards
from tests.system.contracts.tables import Prepared, failures, shipped, write_suite

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


CheckPrepared = Callable[[Prepared], checking.Checked]


def parts_in(data: Path) -> dict[str, frames.Dataset]:
    parts = {part: frames.open_part(data / f"prepared/{part}") for part in ("train", "validation", "test")}
    return {**parts, "augmented": frames.open_part(data / "augmented")}


@pytest.fixture
def check_prepared(spark: SparkSession, tmp_path: Path) -> CheckPrepared:
    def check(prepared: Prepared) -> checking.Checked:
        parts = parts_in(prepared.write(tmp_path / "data"))
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


def test_prepared_rows_are_named_by_the_files_of_the_kept_ones_and_copies_by_their_source_s(
    spark: SparkSession, tmp_path: Path
) -> None:
    prepared = Prepared.make()
    train, augmented = prepared.parts["train"], prepared.parts["augmented"]
    train["image_mean"][7], augmented["image_mean"][4], augmented["image_mean"][9] = 255.0, 0.0, 0.0
    augmented["source_id"][9] = "nowhere"
    clean = pa.table({"id": train["id"], "source": [f"cats/{n}.png" for n in range(120)], "row": [0] * 120})
    (tmp_path / "clean").mkdir()
    entry = shards.write_shard(tmp_path / "clean", 0, clean.schema, [clean])
    shards.finish_dataset(tmp_path / "clean", [entry], clean.schema)
    parts = parts_in(prepared.write(tmp_path / "data"))
    between = ("expect_column_values_to_be_between", {"column": "image_mean", "min_value": 1, "max_value": 254})
    suite = read_suite(write_suite(tmp_path / "prepared.yaml", between), frames.prepared_columns(parts))

    places = partial(find_places, tmp_path / "clean")
    checked = checking.check(frames.prepared_frame(spark, parts), suite, checking.bind(suite), "sha256:00", places)

    [means] = checked.result.failed
    assert [(row.id, row.source, row.row) for row in means.offending_rows] == [
        ("train4-4", "cats/4.png", 0),
        ("train7", "cats/7.png", 0),
        ("train9-9", None, None),
    ]
    lines = ("id,source,row,image_mean", "train4-4,cats/4.png,0,0.0", "train7,cats/7.png,0,255.0", "train9-9,,,0.0")
    assert checked.listings == {"rows-02.csv": "".join(f"{line}\n" for line in lines).encode()}


def test_a_part_that_is_missing_is_seen(check_prepared: CheckPrepared) -> None:
    prepared = Prepared.make()
    prepared.parts["validation"] = {name: [] for name in prepared.parts["validation"]}
    assert list(failures(check_prepared(prepared))) == [("expect_column_distinct_values_to_contain_set", "part")]
