"""A file that is missing or wrong becomes a section that says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.records.contract_result import ContractResult
from pipeline.records.metrics import MetricsReport
from pipeline.records.record import Record
from pipeline.records.registration import Registration
from pipeline.records.run import RunReport
from pipeline.records.verdict import Verdict
from pipeline.report.sections import Section, record_section

RECORDS = {
    "verdict.json": Verdict,
    "registration.json": Registration,
    "metrics.json": MetricsReport,
    "run.json": RunReport,
    "contracts/raw/result.json": ContractResult,
}
DAMAGE = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"outcome": 3, "stages": 3}',
    b'{"unknown": 1}',
    b'{"record_version": 99}',
    b'{"record_version": "1"}',
]


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_shown(whole_project: Path, name: str) -> None:
    section = record_section(whole_project / "reports" / name, RECORDS[name])

    assert isinstance(section.value, RECORDS[name])
    assert section
    assert section.problem == ""


@pytest.mark.parametrize("kind", RECORDS.values())
def test_a_record_that_was_never_made_is_no_problem(tmp_path: Path, kind: type[Record]) -> None:
    assert record_section(tmp_path / "record.json", kind) == Section(None, "")


@pytest.mark.parametrize("content", DAMAGE, ids=repr)
@pytest.mark.parametrize("kind", RECORDS.values())
def test_a_damaged_record_has_a_problem_that_names_the_file_and_no_folder(
    tmp_path: Path, kind: type[Record], content: bytes
) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)
    section = record_section(path, kind)

    assert not section
    assert section.problem.startswith("record.json: ")
    assert str(tmp_path) not in section.problem


def test_a_section_with_an_empty_value_is_one() -> None:
    assert Section(())
    assert not Section(None, "why")
