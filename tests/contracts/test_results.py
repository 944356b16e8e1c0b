"""What a person and the next stage are told of a contract."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.contracts.results import contract_result, expectation_result, problems, require_pass, sentence, stable
from pipeline.contracts.suites import Expectation, Suite
from pipeline.errors import LONGEST_LINE, ContractError
from pipeline.records.contract_result import ContractResult, ExpectationResult, OffendingRow
from pipeline.storage import artifacts

ROWS = Expectation("expect_table_row_count_to_be_between", {"min_value": 1}, "raw.yaml: expectation 1")
LABELS = Expectation("expect_column_values_to_be_in_set", {"column": "label", "value_set": [0, 1]}, "…")
SUITE = Suite("raw", (ROWS, LABELS), Path("raw.yaml"))
PASSED = (expectation_result(ROWS, "pass", 5), expectation_result(LABELS, "pass", "0 of 5 rows unexpected"))
PAGE = Path("reports/index.html")


def result(*expectations: ExpectationResult, rows: int = 5) -> ContractResult:
    return contract_result(SUITE, rows, expectations, "sha256:00")


def failure(found: ContractResult) -> str:
    assert found.outcome == "fail"
    with pytest.raises(ContractError) as raised:
        require_pass(SUITE, found, PAGE)
    return str(raised.value)


def test_rows_that_keep_every_expectation_pass() -> None:
    assert result(*PASSED).outcome == "pass"
    assert problems(SUITE, 5, PASSED) == ()
    require_pass(SUITE, result(*PASSED), PAGE)


def offending(
    rows: int, unexpected: int, source: str | None = "a.gz", listing: str = "rows-02.csv"
) -> ExpectationResult:
    named = tuple(
        OffendingRow(id=f"id{n}", source=source and f"{source}{n % 2}", row=n if source else None) for n in range(rows)
    )
    found = f"{unexpected} of 500 rows unexpected"
    return expectation_result(LABELS, "fail", found, unexpected_rows=unexpected, offending_rows=named, listing=listing)


def test_a_failure_says_which_expectation_on_which_column_what_was_observed_and_expected_and_its_rows_by_file() -> None:
    assert failure(result(PASSED[0], offending(5, 5))) == (
        "raw.yaml: does not hold: expect_column_values_to_be_in_set on column 'label': observed 5 of 500 rows "
        'unexpected, expected {"value_set": [0, 1]}; a.gz0: 0, 2, 4; a.gz1: 1, 3; see reports/index.html'
    )


def test_a_failure_names_twenty_rows_and_says_where_the_rest_stand() -> None:
    said = failure(result(PASSED[0], offending(20, 3012, "t")))
    named = "t0: 0, 2, 4, 6, 8, 10, 12, 14, 16, 18; t1: 1, 3, 5, 7, 9, 11, 13, 15, 17, 19"
    assert f"; {named} and 2992 more in rows-02.csv; see reports/index.html" in said


@given(st.integers(1, 20), st.integers(0, 5000), st.integers(1, 120))
def test_a_failure_is_one_line_with_as_many_rows_as_fit(rows: int, more: int, length: int) -> None:
    said = failure(result(PASSED[0], offending(rows, rows + more, "x" * length)))
    room = LONGEST_LINE - len("stage check_prepared: ")  # a run says before it which stage has failed
    assert len(said) <= room
    named = sum(len(numbers.split(", ")) for numbers in re.findall(r"x[01]: ([\d, ]+)", said))
    left = rows + more - named
    assert left == 0 or re.search(rf"{left} (more|rows?) in rows-02\.csv; see reports/index\.html$", said)
    found = offending(rows, rows + more, "x" * length)
    is_whole = ", expected " in said
    this = len(sentence(found, named, says_expected=is_whole))
    next_one = len(sentence(found, named + 1, says_expected=False))
    assert named == rows or next_one - this > room - len(said), "there was room for another"


def test_rows_are_named_though_what_was_expected_is_long() -> None:
    labels = Expectation(LABELS.type, {"column": "label", "value_set": list(range(40)), "mostly": 0.99}, "…")
    suite = Suite("raw", (ROWS, labels), Path("data_contracts/fashion_mnist/raw.yaml"))
    failed = offending(20, 400, "train-images-idx3-ubyte.gz").changed(kwargs=dict(labels.kwargs))
    with pytest.raises(ContractError) as raised:
        require_pass(suite, contract_result(suite, 16_000, [PASSED[0], failed], "sha256:00"), PAGE)
    assert str(raised.value) == (
        "data_contracts/fashion_mnist/raw.yaml: does not hold: expect_column_values_to_be_in_set on column 'label': "
        "observed 400 of 500 rows unexpected; train-images-idx3-ubyte.gz0: 0, 2, 4; train-images-idx3-ubyte.gz1: 1, 3 "
        "and 395 more in rows-02.csv; see reports/index.html"
    )


def test_rows_of_which_no_file_is_known_are_named_by_their_ids() -> None:
    said = failure(result(PASSED[0], offending(3, 12, None)))
    assert "; ids id0, id1, id2 and 9 more in rows-02.csv; " in said


def test_the_first_failure_stands_for_all_and_the_others_are_counted() -> None:
    said = failure(result(expectation_result(ROWS, "fail", 0), expectation_result(LABELS, "fail", "1 of 5 rows")))
    assert "expect_table_row_count_to_be_between: observed 0" in said
    assert said.endswith("; and 1 more; see reports/index.html")


def test_a_table_without_rows_does_not_pass_though_every_expectation_does() -> None:
    assert "the table has no rows" in failure(result(*PASSED, rows=0))


@pytest.mark.parametrize("expectations", [PASSED[:1], (*PASSED, PASSED[1]), PASSED[::-1], ()])
def test_every_declared_expectation_is_evaluated_exactly_once_or_the_data_does_not_pass(
    expectations: tuple[ExpectationResult, ...],
) -> None:
    assert "declared expectations were evaluated" in failure(result(*expectations))


def test_an_expectation_with_other_arguments_is_not_the_declared_one() -> None:
    other = PASSED[1].changed(kwargs={"column": "label", "value_set": [0, 1, 2]})
    assert "2 of 2 declared expectations were evaluated" in failure(result(PASSED[0], other))


def test_an_expectation_that_raised_is_not_a_pass() -> None:
    raised = expectation_result(LABELS, "error", error="ValueError: no such type")
    assert "could not be evaluated: ValueError: no such type" in failure(result(PASSED[0], raised))


def test_an_expectation_on_several_columns_names_them_all() -> None:
    columns = {"column_list": ["id", "label"]}
    declared = Expectation("expect_compound_columns_to_be_unique", columns, "…")
    said = sentence(expectation_result(declared, "fail", "2 of 5 rows unexpected", unexpected_rows=2))
    assert said.startswith("expect_compound_columns_to_be_unique on columns id, label: observed 2 of 5 rows")
    assert '"column_list": ["id", "label"]' in said


def test_a_long_observation_is_cut_and_details_are_told() -> None:
    said = sentence(expectation_result(ROWS, "fail", "x" * 500, details={"missing": ["a"]}))
    assert "x" * 199 + "…" in said
    assert said.endswith('({"missing": ["a"]})')


def test_the_file_has_no_keys_that_an_expectation_has_nothing_to_say_of() -> None:
    failed = expectation_result(
        LABELS, "fail", "1 of 5 rows unexpected", unexpected_rows=1, offending_rows=(OffendingRow(id="a"),)
    )
    assert json.loads(artifacts.dump_json(result(PASSED[0], failed).to_json())) == {
        "record_version": 2,
        "suite": "raw",
        "rows": 5,
        "outcome": "fail",
        "expectations": [
            {
                "type": "expect_table_row_count_to_be_between",
                "column": None,
                "kwargs": {"min_value": 1},
                "outcome": "pass",
                "observed": 5,
            },
            {
                "type": "expect_column_values_to_be_in_set",
                "column": "label",
                "kwargs": {"column": "label", "value_set": [0, 1]},
                "outcome": "fail",
                "observed": "1 of 5 rows unexpected",
                "unexpected_rows": 1,
                "offending_rows": [{"id": "a"}],
            },
        ],
        "data_digest": "sha256:00",
    }


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=20,
)


@pytest.mark.long
@given(JSON_VALUES, st.booleans())
def test_any_value_becomes_json_that_stays_as_it_is(value: Any, is_ordered: bool) -> None:
    once = stable(value, is_ordered=is_ordered)
    artifacts.dump_json(once)  # raises on NaN and infinity
    assert stable(once, is_ordered=is_ordered) == once


def test_the_order_in_which_a_sum_was_added_does_not_show() -> None:
    assert 0.1 + 0.2 + 0.3 != 0.3 + 0.2 + 0.1
    assert stable({"mean": [0.1 + 0.2 + 0.3]}) == stable({"mean": [0.3 + 0.2 + 0.1]}) == {"mean": [0.6]}


@given(st.lists(st.integers() | st.text(), unique=True), st.randoms())
def test_the_order_of_a_set_does_not_show(values: list[Any], random: Any) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    assert stable(shuffled, is_ordered=False) == stable(values, is_ordered=False)
