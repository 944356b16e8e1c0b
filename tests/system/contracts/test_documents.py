"""The documents of a contract: no text of the contract or of the data becomes markup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.contracts import documents
from pipeline.contracts.checking import Checked, load_library
from pipeline.contracts.results import contract_result, expectation_result
from pipeline.contracts.suites import Expectation, Suite
from tests.report.reading import PageReader

HARM = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"


def checked(text: str) -> Checked:
    """A failed contract in which every free text, of the contract and of the data, is a given one."""
    load_library()
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    asked: dict[str, dict[str, Any]] = {
        "expect_column_values_to_be_in_set": {"column": text, "value_set": [text, "b"]},
        "expect_column_values_to_match_regex": {"column": text, "regex": text},
        "expect_column_distinct_values_to_contain_set": {"column": text, "value_set": [text]},
    }
    found = {
        "observed_value": text,
        "element_count": 5,
        "unexpected_count": 2,
        "unexpected_percent": 40.0,
        "partial_unexpected_list": [text, "x"],
        "partial_unexpected_counts": [{"value": text, "count": 2}],
        "partial_unexpected_index_list": [{"id": text, text: text}],
        "details": {"value_counts": [{"value": text, "count": 2}]},
    }
    failed = {"exception_message": text, "exception_traceback": text}
    expectations, validations, results = [], [], []
    for number, (kind, kwargs) in enumerate(asked.items()):
        expectation = Expectation(kind, kwargs, "raw.yaml", {"notes": text, text: text}, text)
        config = ExpectationConfiguration(type=kind, kwargs=kwargs, meta=dict(expectation.meta), notes=text)
        validations.append(
            ExpectationValidationResult(
                success=False,
                expectation_config=config,
                result=dict(found),
                exception_info={**failed, "raised_exception": number == 1},
            )
        )
        expectations.append(expectation)
        results.append(expectation_result(expectation, "fail", text))
    suite = Suite(text, tuple(expectations), Path("raw.yaml"), text)
    return Checked(suite, contract_result(suite, 5, results, "sha256:00"), validations)


@pytest.mark.parametrize("name", ["index.html", "suite.html"])
def test_no_text_becomes_markup_and_every_text_is_shown(name: str) -> None:
    plain, read = (PageReader(documents.render(checked(text))[name]) for text in ("harmless", HARM))
    assert read.elements == plain.elements
    assert [each for each, _ in read.attributes] == [each for each, _ in plain.attributes]
    page = documents.render(checked(HARM))[name].decode()
    assert "script" not in plain.elements
    assert "alert(1)" in page
    assert "<script" not in page
    assert "<img" not in page


def test_the_page_is_as_it_was_for_texts_without_such_characters() -> None:
    page = documents.render(checked("harmless"))["index.html"].decode()
    assert "harmless" in page
    assert not any(chr(private) in page for private in range(0xF8F0, 0xF8F5))
