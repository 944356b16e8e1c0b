"""Raw data against a contract, on real Spark and real Great Expectations."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from pipeline.contracts import checking, documents, frames
from pipeline.contracts.results import require_pass
from pipeline.contracts.suites import Suite, read_suite
from pipeline.errors import ContractError, DataError, UsageError
from pipeline.storage import shards
from tests.system.contracts.conftest import Check, check_raw_data
from tests.system.contracts.tables import RAW_SCHEMA, ROWS, failures, raw_columns, shipped, write_raw, write_suite

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def plain_outcomes(frame: Any, suite: Suite) -> list[bool]:
    """What a user of Great Expectations gets who follows its documentation, in the order of the suite."""
    gx = checking.load_library()
    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_spark("spark").add_dataframe_asset("table")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
    declared = [
        {"type": entry.type, "kwargs": dict(entry.kwargs), "meta": {"number": number}}
        for number, entry in enumerate(suite.expectations)
    ]
    results = batch.validate(gx.ExpectationSuite(name=suite.name, expectations=declared)).results
    outcomes = {result.expectation_config.meta["number"]: bool(result.success) for result in results}
    return [outcomes[number] for number in range(len(declared))]  # they come back grouped by column


def test_good_raw_data_keeps_the_shipped_contract(check_raw: Check) -> None:
    checked = check_raw(raw_columns())
    assert checked.result.failed == []
    assert (checked.result.outcome, checked.result.rows) == ("pass", ROWS)
    assert len(checked.result.expectations) == len(checked.suite.expectations)


@dataclass(frozen=True)
class Spoilt:
    """Raw columns with a fault of every kind, and what came of checking them."""

    columns: dict[str, list[Any]]
    checked: checking.Checked

    def verdict(self, kind: str, column: str, outcome: str = "fail") -> Any:
        [found] = [
            result
            for result in self.checked.result.expectations
            if (result.type, str(result.column), result.outcome) == (kind, column, outcome)
        ]
        return found


@pytest.fixture(scope="module")
def spoilt(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Spoilt:
    columns = raw_columns()
    for row in range(20, 35):
        columns["label"][row] = 11
    columns["label"][7] = None
    columns["image"][3] = b"too short"
    columns["id"][5] = columns["id"][4]
    columns["row"][9] = columns["row"][8]
    folder = tmp_path_factory.mktemp("spoilt")
    path = write_suite(
        folder / "raw.yaml",
        ("expect_column_values_to_be_in_set", {"column": "label", "value_set": list(range(10))}),
        ("expect_column_values_to_not_be_null", {"column": "label"}),
        ("expect_column_values_to_be_between", {"column": "image_bytes", "min_value": 784, "max_value": 784}),
        ("expect_column_values_to_be_unique", {"column": "id"}),
        ("expect_compound_columns_to_be_unique", {"column_list": ["source", "row"]}),
        ("expect_column_pair_values_to_be_equal", {"column_A": "image_height", "column_B": "label"}),
        ("expect_column_max_to_be_between", {"column": "label", "max_value": 9}),
        ("expect_column_values_to_be_in_set", {"column": "label", "value_set": list(range(10)), "mostly": 0.9}),
    )
    return Spoilt(columns, check_raw_data(spark, path, write_raw(folder / "raw", columns)))


def test_a_failed_expectation_counts_its_rows_and_names_them_by_their_files(spoilt: Spoilt) -> None:
    label = spoilt.verdict("expect_column_values_to_be_in_set", "label")
    assert (label.unexpected_rows, label.observed) == (15, "15 of 199 rows unexpected")
    assert [(row.id, row.source, row.row) for row in label.offending_rows] == [
        (spoilt.columns["id"][row], "train-images-idx3-ubyte.gz", row) for row in range(20, 35)
    ]


def test_the_list_of_a_failed_expectation_has_all_of_its_rows_and_the_values_it_is_about(spoilt: Spoilt) -> None:
    pair = spoilt.verdict("expect_column_pair_values_to_be_equal", "['image_height', 'label']")
    assert (len(pair.offending_rows), pair.unexpected_rows, pair.unnamed_rows) == (20, ROWS, ROWS - 20)
    listed = list(csv.DictReader(io.StringIO(spoilt.checked.listings[pair.listing].decode())))
    assert [int(row["row"]) for row in listed] == sorted(spoilt.columns["row"])
    assert {row["image_height"] for row in listed} == {"28"}
    label_of = {row["row"]: row["label"] for row in listed}
    assert (label_of["25"], label_of["7"], label_of["1"]) == ("11", "", "1")


def test_only_failed_expectations_have_lists(spoilt: Spoilt) -> None:
    named = {each.listing for each in spoilt.checked.result.failed if each.unexpected_rows}
    assert spoilt.checked.listings.keys() == named
    assert len(named) == 6


@pytest.mark.parametrize(
    ("kind", "column", "rows"),
    [
        ("expect_column_values_to_not_be_null", "label", [7]),
        ("expect_column_values_to_be_between", "image_bytes", [3]),
        ("expect_column_values_to_be_unique", "id", [4, 5]),
        ("expect_compound_columns_to_be_unique", "['source', 'row']", [8, 9]),
        ("expect_column_pair_values_to_be_equal", "['image_height', 'label']", range(ROWS)),
    ],
)
def test_every_kind_of_expectation_about_rows_names_them(
    spoilt: Spoilt, kind: str, column: str, rows: Iterable[int]
) -> None:
    named = sorted((spoilt.columns["row"][row], spoilt.columns["id"][row]) for row in rows)
    assert spoilt.verdict(kind, column).offending_ids == tuple(row_id for _, row_id in named[:20])


def test_an_expectation_about_the_whole_column_tells_what_it_has_observed(spoilt: Spoilt) -> None:
    highest = spoilt.verdict("expect_column_max_to_be_between", "label")
    assert (highest.observed, highest.unexpected_rows) == (11, None)


def test_rows_that_mostly_allows_are_counted_all_the_same(spoilt: Spoilt) -> None:
    assert spoilt.verdict("expect_column_values_to_be_in_set", "label", "pass").unexpected_rows == 15


def test_the_error_is_one_line_that_says_what_failed_how_much_more_and_where_to_look(spoilt: Spoilt) -> None:
    with pytest.raises(ContractError) as raised:
        require_pass(spoilt.checked.suite, spoilt.checked.result, Path("index.html"))
    assert "on column 'label': observed 15 of 199 rows unexpected" in str(raised.value)
    assert "train-images-idx3-ubyte.gz: 20, 21" in str(raised.value)
    assert "; and 6 more; see index.html" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_documents_name_the_rows_too(spoilt: Spoilt) -> None:
    page = documents.render(spoilt.checked)["index.html"].decode()
    assert "fail" in page
    assert spoilt.columns["id"][4] in page


def test_a_missing_class_is_seen_though_every_label_is_a_known_one(check_raw: Check) -> None:
    columns = raw_columns()
    columns["label"] = [label if label != 3 else 4 for label in columns["label"]]
    failed = failures(check_raw(columns))
    assert list(failed) == [("expect_column_kl_divergence_to_be_less_than", "label")]
    assert failed["expect_column_kl_divergence_to_be_less_than", "label"].observed > 0.02


def test_a_table_without_rows_does_not_pass(check_raw: Check) -> None:
    empty: dict[str, list[Any]] = {name: [] for name in RAW_SCHEMA.names}
    checked = check_raw(empty, ("expect_column_values_to_be_unique", {"column": "id"}))
    assert checked.result.rows == 0
    # Great Expectations passes it: of no rows, all keep to whatever is asked.
    assert checked.result.expectations[1].outcome == "pass"
    with pytest.raises(ContractError, match="the table has no rows"):
        require_pass(checked.suite, checked.result, Path("index.html"))


def test_an_expectation_that_raises_is_no_pass_and_leaves_the_others_alone(check_raw: Check) -> None:
    checked = check_raw(
        raw_columns(),
        ("expect_column_mean_to_be_between", {"column": "id", "min_value": 0, "max_value": 1}),
        ("expect_column_kl_divergence_to_be_less_than", {"column": "label", "partition_object": {}, "threshold": 1}),
        ("expect_column_values_to_be_unique", {"column": "id"}),
    )
    assert [result.outcome for result in checked.result.expectations] == ["pass", "error", "error", "pass"]
    assert "numeric" in checked.result.expectations[1].error
    assert "partition_object" in checked.result.expectations[2].error
    with pytest.raises(ContractError, match="on column 'id': could not be evaluated"):
        require_pass(checked.suite, checked.result, Path("index.html"))
    assert documents.render(checked)


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"colunm": "label", "value_set": [1]}, "'colunm' (did you mean 'column'?)"),
        ({"column": "label"}, "argument 'value_set' is missing"),
        ({"column": "label", "value_set": 3}, "argument 'value_set'"),
        ({"column": "label", "value_set": [1], "mostly": 2}, "argument 'mostly'"),
    ],
)
def test_a_wrong_argument_is_refused_with_file_and_expectation(
    tmp_path: Path, kwargs: dict[str, Any], said: str
) -> None:
    path = write_suite(tmp_path / "raw.yaml", ("expect_column_values_to_be_in_set", kwargs))
    with pytest.raises(UsageError) as refused:
        checking.bind(read_suite(path, RAW_SCHEMA.names))
    assert f"{path}: expectation 2, expect_column_values_to_be_in_set: " in str(refused.value)
    assert said in str(refused.value)


@pytest.mark.parametrize("is_good", [True, False])
def test_the_outcomes_are_those_of_plain_great_expectations(spark: SparkSession, tmp_path: Path, is_good: bool) -> None:
    columns = raw_columns()
    if not is_good:
        columns["label"][:30] = [12] * 30
        columns["part"] = ["train"] * ROWS
        columns["content_digest"] = [columns["content_digest"][0]] * ROWS
        columns["id"][1] = columns["id"][0]
    raw = frames.open_raw(write_raw(tmp_path / "raw", columns))
    suite = read_suite(shipped("raw.yaml", tmp_path), frames.raw_columns(raw))
    frame = frames.raw_frame(spark, raw)
    checked = checking.check(frame, suite, checking.bind(suite), "sha256:00")
    ours = [result.has_passed for result in checked.result.expectations]
    assert ours == plain_outcomes(frame, suite)
    assert all(ours) is is_good


def test_data_of_another_layout_is_refused_before_spark_reads_it(tmp_path: Path) -> None:
    schema = RAW_SCHEMA.remove(RAW_SCHEMA.get_field_index("label"))
    columns = {name: values for name, values in raw_columns(10).items() if name != "label"}
    entry = shards.write_shard(tmp_path, 0, schema, [pa.table(columns, schema=schema)])
    shards.finish_dataset(tmp_path, [entry], schema)
    with pytest.raises(DataError, match="column 'label' is missing, expected int32"):
        frames.open_raw(tmp_path)
