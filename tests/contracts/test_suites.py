"""A contract is read whole or refused in one line, before Great Expectations or Spark is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.contracts import frames
from pipeline.contracts.suites import expectation_types, read_suite
from pipeline.data.feature_kinds import raw_schema, specs
from pipeline.errors import StorageError, UsageError
from pipeline.recipe.recipe import load_recipe
from pipeline.records.manifest import Manifest
from pipeline.storage.shards import describe_schema

ROOT = Path(__file__).parents[2]
COLUMNS = ("id", "label", "payload_bytes")
ROW_COUNT = "  - type: expect_table_row_count_to_be_between\n    kwargs: {min_value: 1}\n"


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    return tmp_path / "raw.yaml"


def write(path: Path, expectations: str, head: str = "name: raw\n") -> Path:
    path.write_text(f"{head}expectations:\n{expectations}")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UsageError) as refused:
        read_suite(path, COLUMNS)
    message = str(refused.value)
    assert str(path) in message
    return message


def test_expectations_keep_the_order_of_the_file(contract: Path) -> None:
    label = "  - type: expect_column_values_to_be_in_set\n    kwargs: {column: label, value_set: [0, 1]}\n"
    suite = read_suite(write(contract, label + ROW_COUNT), COLUMNS)
    assert suite.name == "raw"
    assert [expectation.type for expectation in suite.expectations] == [
        "expect_column_values_to_be_in_set",
        "expect_table_row_count_to_be_between",
    ]
    assert suite.expectations[0].column == "label"
    assert suite.expectations[1].column is None


@pytest.mark.parametrize(
    ("kind", "argument", "is_refused"),
    [
        ("expect_table_columns_to_match_set", "column_set: [id, label, payload_bytes]", True),
        ("expect_table_columns_to_match_ordered_list", "column_list: [id, label]", True),
        ("expect_table_columns_to_match_set", "column_set: [id, label], exact_match: false", False),
        ("expect_table_columns_to_match_set", "column_set: [id, label, share, other_label]", False),
    ],
)
def test_a_list_of_all_columns_has_those_that_a_step_adds(
    contract: Path, kind: str, argument: str, is_refused: bool
) -> None:
    write(contract, f"{ROW_COUNT}  - type: {kind}\n    kwargs: {{{argument}}}\n")
    added = dict.fromkeys(("other_label", "share"), "augment.steps.1 overlay")
    if not is_refused:
        assert len(read_suite(contract, (*COLUMNS, *added), added).expectations) == 2
        return
    with pytest.raises(UsageError) as refused:
        read_suite(contract, (*COLUMNS, *added), added)
    name = argument.partition(":")[0]
    assert str(refused.value) == (
        f"{contract}: expectation 2, {kind}: augment.steps.1 overlay adds the columns other_label and share; name them "
        f"in '{name}', too, or take the step out"
    )
    assert len(read_suite(contract, COLUMNS).expectations) == 2


def test_notes_meta_and_what_great_expectations_itself_writes_are_accepted(contract: Path) -> None:
    extras = "    meta: {ticket: 7}\n    notes: why\n    severity: critical\n    id: 1b4f\n"
    suite = read_suite(write(contract, ROW_COUNT + extras, "name: raw\nnotes: all of it\nmeta: {by: me}\n"), COLUMNS)
    assert suite.notes == "all of it"
    assert suite.expectations[0].notes == "why"
    assert suite.expectations[0].meta == {"ticket": 7}


@pytest.mark.parametrize("content", ["just: a mapping\n", "name: raw\nexpectations: none\n", "name: raw\n", ""])
def test_what_is_not_a_suite_is_refused(contract: Path, content: str) -> None:
    contract.write_text(content)
    assert "not a suite" in refusal(contract)


def test_a_missing_file_is_a_storage_error(contract: Path) -> None:
    with pytest.raises(StorageError, match=r"raw\.yaml"):
        read_suite(contract, COLUMNS)


def test_a_suite_needs_a_name(contract: Path) -> None:
    assert "'name' must be text" in refusal(write(contract, ROW_COUNT, "name: 3\n"))


def test_an_empty_suite_is_refused_because_it_lets_everything_through(contract: Path) -> None:
    contract.write_text("name: raw\nexpectations: []\n")
    assert "no expectations" in refusal(contract)


def test_a_suite_that_does_not_bound_the_row_count_is_refused(contract: Path) -> None:
    message = refusal(write(contract, "  - type: expect_column_values_to_be_unique\n    kwargs: {column: id}\n"))
    assert "no expectation bounds the row count" in message


@pytest.mark.parametrize(
    ("expectation", "said"),
    [
        (
            "  - type: expect_column_values_to_be_in_sett\n    kwargs: {}\n",
            "did you mean 'expect_column_values_to_be_in_s",
        ),
        ("  - type: something\n    kwargs: {}\n", "unknown type 'something'"),
        ("  - kwargs: {}\n", "'type' is missing"),
        ("  - just text\n", "must be a mapping"),
        ("  - type: expect_column_to_exist\n    kwarg: {}\n", "unknown key 'kwarg' (did you mean 'kwargs'?)"),
        ("  - type: expect_column_to_exist\n    kwargs: [id]\n", "must be mappings"),
        ("  - type: expect_column_to_exist\n    kwargs: {column: lable}\n", "'lable' (did you mean 'label'?)"),
        ("  - type: expect_compound_columns_to_be_unique\n    kwargs: {column_list: [id, x]}\n", "unknown column 'x'"),
        ("  - type: expect_column_to_exist\n    kwargs: {column: id}\n    severity: warning\n", "no warnings"),
        (
            "  - type: expect_column_to_exist\n    kwargs: {column: id, result_format: BASIC}\n",
            "'result_format' is set",
        ),
        (
            "  - type: expect_column_max_to_be_between\n    kwargs: {column: label, max_value: {$PARAMETER: top}}\n",
            "suite parameters are not used",
        ),
    ],
)
def test_a_wrong_expectation_is_refused_by_its_number(contract: Path, expectation: str, said: str) -> None:
    message = refusal(write(contract, ROW_COUNT + expectation))
    assert said in message
    assert "expectation 2" in message


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        ("expect_table_row_count_to_be_between", "{}"),
        ("expect_table_row_count_to_be_between", "{min_value: null}"),
        ("expect_table_row_count_to_be_between", "{min_value: null, max_value: null}"),
        ("expect_table_row_count_to_be_between", "{min_value: 0}"),
        ("expect_table_row_count_to_be_between", "{min_value: -5}"),
        ("expect_table_row_count_to_be_between", "{min_value: -1, strict_min: true}"),
        ("expect_table_row_count_to_be_between", "{min_value: 0, strict_min: false}"),
        ("expect_table_row_count_to_be_between", "{max_value: 100}"),
        ("expect_table_row_count_to_be_between", "{min_value: 0, max_value: 100}"),
        ("expect_table_row_count_to_be_between", "{min_value: true}"),
        ("expect_table_row_count_to_be_between", "{min_value: 0.5}"),
        ("expect_table_row_count_to_be_between", "{min_value: .inf}"),
        ("expect_table_row_count_to_be_between", "{min_value: '2026-01-01'}"),
        ("expect_table_row_count_to_equal", "{}"),
        ("expect_table_row_count_to_equal", "{value: null}"),
        ("expect_table_row_count_to_equal", "{value: 0}"),
        ("expect_table_row_count_to_equal", "{value: -1}"),
        ("expect_table_row_count_to_equal", "{value: true}"),
    ],
)
def test_a_row_count_that_an_empty_table_meets_is_refused(contract: Path, kind: str, kwargs: str) -> None:
    message = refusal(write(contract, f"  - type: {kind}\n    kwargs: {kwargs}\n"))
    assert f"expectation 1, {kind}: " in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        ("expect_table_row_count_to_be_between", "{min_value: 1}"),
        ("expect_table_row_count_to_be_between", "{min_value: 0, strict_min: true}"),
        ("expect_table_row_count_to_be_between", "{min_value: 1, max_value: 9}"),
        ("expect_table_row_count_to_equal", "{value: 7}"),
    ],
)
def test_a_row_count_that_an_empty_table_does_not_meet_bounds_the_rows(contract: Path, kind: str, kwargs: str) -> None:
    assert read_suite(write(contract, f"  - type: {kind}\n    kwargs: {kwargs}\n"), COLUMNS).name == "raw"


def test_an_upper_bound_on_the_row_count_may_stand_by_itself_beside_a_lower_one(contract: Path) -> None:
    upper = "  - type: expect_table_row_count_to_be_between\n    kwargs: {max_value: 9}\n"
    assert len(read_suite(write(contract, upper + ROW_COUNT), COLUMNS).expectations) == 2


@pytest.mark.parametrize(
    ("kind", "kwargs", "said"),
    [
        ("expect_column_values_to_not_be_null", "mostly: 0", "argument 'mostly': 0 is no share"),
        ("expect_column_values_to_not_be_null", "mostly: 0.0", "argument 'mostly': 0.0 is no share"),
        ("expect_column_values_to_be_unique", "mostly: -0.5", "argument 'mostly': -0.5 is no share"),
        ("expect_column_values_to_be_unique", "mostly: 1.5", "argument 'mostly': 1.5 is no share"),
        ("expect_column_values_to_be_unique", "mostly: null", "argument 'mostly': null is no share"),
        ("expect_column_values_to_be_unique", "mostly: false", "argument 'mostly': false is no share"),
        ("expect_column_values_to_be_unique", "mostly: '0'", "argument 'mostly': 0 is no share"),
        ("expect_column_values_to_be_unique", "mostly: .nan", "'mostly: nan'"),
        ("expect_column_values_to_be_between", "strict_min: true", "without 'min_value' and 'max_value'"),
        ("expect_column_values_to_be_between", "min_value: null", "without 'min_value' and 'max_value'"),
        ("expect_column_values_to_be_between", "min_value: -.inf", "'min_value: -inf'"),
        ("expect_column_values_to_be_between", "min_value: .nan", "'min_value: nan'"),
        ("expect_column_mean_to_be_between", "max_value: null", "without 'min_value' and 'max_value'"),
        ("expect_column_unique_value_count_to_be_between", "min_value: 0", "holds whatever the data"),
        ("expect_column_value_lengths_to_be_between", "min_value: 0", "holds whatever the data"),
        ("expect_column_proportion_of_unique_values_to_be_between", "max_value: 1", "holds whatever the data"),
        (
            "expect_column_proportion_of_non_null_values_to_be_between",
            "min_value: 0, max_value: 1",
            "'min_value: 0', 'max_value: 1' holds",
        ),
        ("expect_column_values_to_not_be_in_set", "value_set: []", "without 'value_set'"),
        ("expect_column_distinct_values_to_contain_set", "value_set: []", "without 'value_set'"),
        ("expect_column_values_to_be_in_set", "value_set: [1, null]", "null in 'value_set'"),
        ("expect_column_values_to_be_in_type_list", "type_list: null", "without 'type_list'"),
        ("expect_column_values_to_match_regex", "mostly: 0.5", "without 'regex'"),
        ("expect_column_kl_divergence_to_be_less_than", "partition_object: {}", "without 'threshold'"),
        ("expect_column_kl_divergence_to_be_less_than", "threshold: .inf", "'threshold: inf'"),
        (
            "expect_column_quantile_values_to_be_between",
            "quantile_ranges: {quantiles: [0.5], value_ranges: [[null, null]]}",
            "a range of 'value_ranges' without bounds",
        ),
        (
            "expect_column_quantile_values_to_be_between",
            "quantile_ranges: {quantiles: [], value_ranges: []}",
            "without quantiles",
        ),
    ],
)
def test_an_expectation_that_holds_whatever_the_data_is_refused(
    contract: Path, kind: str, kwargs: str, said: str
) -> None:
    message = refusal(write(contract, f"{ROW_COUNT}  - type: {kind}\n    kwargs: {{column: label, {kwargs}}}\n"))
    assert f"expectation 2, {kind}: " in message
    assert said in message


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        ("expect_table_columns_to_match_set", "{}"),
        ("expect_table_columns_to_match_set", "{column_set: [], exact_match: false}"),
        ("expect_table_columns_to_match_ordered_list", "{}"),
        ("expect_table_column_count_to_be_between", "{}"),
        ("expect_table_column_count_to_be_between", "{min_value: 0}"),
    ],
)
def test_an_expectation_about_the_table_that_holds_for_every_table_is_refused(
    contract: Path, kind: str, kwargs: str
) -> None:
    message = refusal(write(contract, f"{ROW_COUNT}  - type: {kind}\n    kwargs: {kwargs}\n"))
    assert f"expectation 2, {kind}: " in message


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        ("expect_column_values_to_not_be_null", "mostly: 1"),
        ("expect_column_values_to_not_be_null", "mostly: 0.001"),
        ("expect_column_unique_value_count_to_be_between", "min_value: 0, strict_min: true"),
        ("expect_column_unique_value_count_to_be_between", "max_value: 0"),
        ("expect_column_proportion_of_unique_values_to_be_between", "max_value: 1, strict_max: true"),
        ("expect_column_mean_to_be_between", "min_value: 0"),
        ("expect_column_values_to_be_between", "min_value: '2026-01-01'"),
    ],
)
def test_an_expectation_that_data_can_break_is_accepted(contract: Path, kind: str, kwargs: str) -> None:
    path = write(contract, f"{ROW_COUNT}  - type: {kind}\n    kwargs: {{column: label, {kwargs}}}\n")
    assert len(read_suite(path, COLUMNS).expectations) == 2


@pytest.mark.long
def test_the_names_of_all_expectation_types_are_known_without_importing_the_library() -> None:
    program = (
        "import sys; from pipeline.contracts import suites, frames, checking, documents, validation;"
        "from pipeline.stages import check_raw, check_prepared;"
        "assert 'expect_column_values_to_be_unique' in suites.expectation_types();"
        "print([name for name in ('great_expectations', 'pyspark', 'pandas', 'tensorflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert "unexpected_rows_expectation" in expectation_types()


def test_the_shipped_contracts_are_suites_about_the_columns_that_the_stages_offer() -> None:
    folder = ROOT / "data_contracts" / "fashion_mnist"
    features = specs(load_recipe(ROOT).data.features)
    raw = frames.Dataset(ROOT, Manifest(rows=0, files=(), columns=describe_schema(raw_schema(features))))
    part = frames.Dataset(ROOT, Manifest(rows=0, files=(), columns={}, features=features))
    suite = read_suite(folder / "raw.yaml", frames.raw_columns(raw))
    assert (suite.name, len(suite.expectations)) == ("fashion_mnist.raw", 28)
    suite = read_suite(folder / "prepared.yaml", frames.prepared_columns({"train": part}))
    assert (suite.name, len(suite.expectations)) == ("fashion_mnist.prepared", 23)
