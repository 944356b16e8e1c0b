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
    assert (suite.name, len(suite.expectations)) == ("fashion_mnist.raw", 26)
    suite = read_suite(folder / "prepared.yaml", frames.prepared_columns({"train": part}))
    assert (suite.name, len(suite.expectations)) == ("fashion_mnist.prepared", 23)
