"""What came of a run is found where its dvc.yaml says, whatever the files are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import StorageError, UsageError
from pipeline.graph import parse_graph
from pipeline.records.verdict import Verdict
from pipeline.runs import outcome
from pipeline.storage.record_files import write_record

REFUSED = Verdict.of([], "worse than v1", "sha256:new", None)
JUDGES = parse_graph({"stages": {"a": {"cmd": "x", "outs": ["b.json"], "meta": {"makes": {"verdict": "b.json"}}}}}, {})
JUDGES_NOT = parse_graph({"stages": {"a": {"cmd": "x"}}}, {})


def test_a_verdict_is_found_by_its_role(tmp_path: Path) -> None:
    write_record(tmp_path / "b.json", REFUSED)
    assert outcome.verdict_of(tmp_path, JUDGES) == outcome.find_verdict(tmp_path, JUDGES) == REFUSED


def test_a_verdict_that_should_be_there_and_is_not_is_no_missing_role(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"b\.json: cannot be read"):
        outcome.verdict_of(tmp_path, JUDGES)
    assert outcome.find_verdict(tmp_path, JUDGES) is None


def test_where_no_stage_has_a_role_there_is_nothing_to_find(tmp_path: Path) -> None:
    assert outcome.verdict_of(tmp_path, JUDGES_NOT) is None
    assert outcome.find_registration(tmp_path, JUDGES_NOT) is None
    with pytest.raises(UsageError, match="no stage makes the metrics"):
        outcome.metrics_of(tmp_path, JUDGES_NOT)
