"""A stage behind a contract works only where the contract holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ContractError, DataError, StorageError
from pipeline.records.contract_result import ContractResult
from pipeline.storage.artifacts import write_json
from pipeline.storage.record_files import read_record, write_record
from tests.records.examples import FAILED_EXPECTATION, KEPT_EXPECTATION

HOLDS = ContractResult(
    suite="digits.raw", rows=4, outcome="pass", expectations=(KEPT_EXPECTATION,), data_digest="sha256:0c"
)
FAILS = HOLDS.changed(outcome="fail", expectations=(KEPT_EXPECTATION, FAILED_EXPECTATION))


def require_passed(path: Path) -> None:
    """Do what a stage behind a contract begins with."""
    read_record(path, ContractResult).require_passed(path)


def test_a_contract_that_holds_lets_the_stage_begin(tmp_path: Path) -> None:
    write_record(tmp_path / "result.json", HOLDS)
    require_passed(tmp_path / "result.json")


def test_a_contract_that_does_not_hold_stops_the_stage(tmp_path: Path) -> None:
    write_record(tmp_path / "result.json", FAILS)
    with pytest.raises(ContractError, match=r"result\.json: the contract does not hold; fix .*, then `dvc repro`"):
        require_passed(tmp_path / "result.json")


def test_a_missing_result_stops_the_stage(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"result\.json: cannot be read"):
        require_passed(tmp_path / "result.json")


@pytest.mark.parametrize("outcome", [True, "passed", "", None, 1])
def test_an_outcome_that_is_no_word_of_ours_stops_the_stage(tmp_path: Path, outcome: object) -> None:
    write_json(tmp_path / "result.json", {**HOLDS.to_json(), "outcome": outcome})
    with pytest.raises(DataError, match=r"result\.json: outcome: "):
        require_passed(tmp_path / "result.json")


@pytest.mark.parametrize("value", [{"outcome": "pass"}, {}, ["pass"], "pass"])
def test_what_is_no_result_stops_the_stage(tmp_path: Path, value: object) -> None:
    write_json(tmp_path / "result.json", value)
    with pytest.raises(DataError, match=r"result\.json: "):
        require_passed(tmp_path / "result.json")


def test_expectations_are_parted_by_what_came_of_them() -> None:
    assert (FAILS.passed, FAILS.failed) == ([KEPT_EXPECTATION], [FAILED_EXPECTATION])


def test_an_expectation_that_could_not_be_evaluated_has_not_passed() -> None:
    assert not KEPT_EXPECTATION.changed(outcome="error", error="no such column").has_passed


@pytest.mark.parametrize(("column", "where"), [("label", "label"), (["id", "row"], "id, row"), (None, "table")])
def test_an_expectation_says_what_it_is_about(column: object, where: str) -> None:
    assert KEPT_EXPECTATION.changed(column=column).where == where


def test_an_expectation_is_said_in_words() -> None:
    assert FAILED_EXPECTATION.words == "column values to not be null"


def test_what_an_expectation_has_nothing_to_say_of_is_not_written() -> None:
    assert HOLDS.to_json()["expectations"] == [
        {
            "type": "expect_table_row_count_to_be_between",
            "column": None,
            "kwargs": {},
            "outcome": "pass",
            "observed": 4,
        }
    ]
