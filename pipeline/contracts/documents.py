"""Great Expectations' data documents as reproducible pages that need no network.

Great Expectations' renderers make the content; the page around it is ours, because theirs loads its styles from the
network, prints the time and gives its elements random ids.

No text of a contract or of the data becomes markup: Great Expectations escapes some of them and not others. So it is
given all of them with the characters that mean something in HTML replaced by private ones, which become character
references on the page that it has made.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.contracts.checking import Checked
from pipeline.records.contract_result import RESULT_FILE
from pipeline.storage import artifacts
from pipeline.storage.record_files import write_record

_PRIVATE = {ord(character): chr(0xF8F0 + place) for place, character in enumerate("<>&\"'")}
_REFERENCES = {ord(private): f"&#{character};" for character, private in _PRIVATE.items()}
RESULTS_PAGE, SUITE_PAGE = "index.html", "suite.html"


def render(checked: Checked) -> dict[str, bytes]:
    """Return the pages by file name: the results, and the suite in words. The bytes depend on the result alone."""
    from great_expectations import ExpectationSuite
    from great_expectations.render.renderer.page_renderer import (
        ExpectationSuitePageRenderer,
        ValidationResultsPageRenderer,
    )

    result = checked.result
    validations = [_harmless_validation(validation) for validation in checked.validations]
    suite = ExpectationSuite(
        name=_harmless(checked.suite.name),
        expectations=[validation.expectation_config for validation in validations],
        notes=_harmless(checked.suite.notes),
    )
    facts = {"suite": result.suite, "rows": result.rows, "data": result.data_digest, "outcome": result.outcome}
    results_page = ValidationResultsPageRenderer(run_info_at_end=True).render(_validation(checked, validations))
    results_page.sections = results_page.sections[:-1]  # the last one describes the run
    status = results_page.sections[0].content_blocks[0].subheader.string_template
    status["template"] = "${suite_title} ${expectation_suite_name}\n ${status_title} ${html_success_icon} ${success}"
    status["styling"]["params"]["expectation_suite_name"]["attributes"]["href"] = SUITE_PAGE
    return {
        RESULTS_PAGE: _page(results_page, facts, {"href": SUITE_PAGE, "text": "the contract in words"}),
        SUITE_PAGE: _page(
            ExpectationSuitePageRenderer().render(suite), facts, {"href": RESULTS_PAGE, "text": "the results"}
        ),
    }


def write(folder: Path, checked: Checked) -> None:
    """Write `result.json`, the pages, and the lists of rows that are not allowed into a folder."""
    for name, content in {**render(checked), **checked.listings}.items():
        artifacts.write_file(folder / name, content)
    write_record(folder / RESULT_FILE, checked.result)


class _ShownZero(float):
    """A zero that the renderers do not take for a missing value (a divergence of 0 was shown as infinite)."""

    def __bool__(self) -> bool:
        return True


def _harmless(value: Any) -> Any:
    """Return any value of JSON with the characters that mean something in HTML replaced, in keys and values."""
    if isinstance(value, str):
        return value.translate(_PRIVATE)
    if isinstance(value, Mapping):
        return {_harmless(key): _harmless(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_harmless(each) for each in value]
    return value


def _harmless_validation(validation: Any) -> Any:
    """Return a copy of one of Great Expectations' results with harmless texts."""
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    asked = validation.expectation_config
    return ExpectationValidationResult(
        success=validation.success,
        expectation_config=ExpectationConfiguration(
            type=asked.type,
            kwargs=_harmless(asked.kwargs),
            meta=_harmless(asked.meta),
            notes=_harmless(asked.notes),
            description=_harmless(asked.description),
            severity=asked.severity,
        ),
        result=_harmless(validation.result),
        meta=_harmless(validation.meta),
        exception_info=_harmless(validation.exception_info),
    )


def _validation(checked: Checked, validations: Sequence[Any]) -> Any:
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult

    for validation in validations:
        if validation.result.get("observed_value") == 0.0:
            validation.result["observed_value"] = _ShownZero()
    passed, total = len(checked.result.passed), len(checked.result.expectations)
    return ExpectationSuiteValidationResult(
        success=checked.result.has_passed,
        results=list(validations),
        suite_name=_harmless(checked.suite.name),
        statistics={
            "evaluated_expectations": total,
            "successful_expectations": passed,
            "unsuccessful_expectations": total - passed,
            "success_percent": 100 * passed / total,
        },
        meta={},
    )


def _page(document: Any, facts: dict[str, Any], link: dict[str, str]) -> bytes:
    from great_expectations.render.view import DefaultJinjaPageView
    from jinja2 import ChoiceLoader, FileSystemLoader

    class Page(DefaultJinjaPageView):  # type: ignore[misc]
        """Great Expectations' page with our template, and elements numbered in order."""

        def __init__(self) -> None:
            super().__init__()
            self.env.loader = ChoiceLoader([FileSystemLoader(Path(__file__).parent / "templates"), self.env.loader])
            self.env.filters["as_bars"] = _as_bars
            self._numbers = itertools.count(1)

        def generate_html_element_uuid(self, prefix: str | None = None) -> str:
            return f"{prefix or ''}{next(self._numbers)}"

    html: str = Page().render(document, facts=facts, link=link)
    html = html.translate(_REFERENCES)
    return "\n".join(line.rstrip() for line in html.splitlines() if line.strip()).encode() + b"\n"


def _as_bars(graph: Any) -> list[dict[str, Any]]:
    """Return the bars of one of Great Expectations' Vega charts: label, share, and height relative to the highest."""
    chart = json.loads(graph) if isinstance(graph, str) else graph
    rows = next(iter(chart.get("datasets", {}).values()), None) or chart.get("data", {}).get("values", [])
    shares = [
        (next((str(value) for name, value in row.items() if name != "fraction"), ""), float(row["fraction"]))
        for row in rows
        if isinstance(row.get("fraction"), int | float)
    ]
    highest = max((share for _, share in shares), default=0.0) or 1.0
    return [{"label": label, "share": share, "height": share / highest} for label, share in shares]
