"""A stage behind a contract works only where the contract was kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pipeline.contracts.kept import require_kept

from pipeline.errors import ContractError, StorageError


def test_a_contract_that_was_kept_lets_the_stage_begin(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps({"outcome": "pass"}))
    require_kept(tmp_path)


@pytest.mark.parametrize("result", [{"outcome": "fail"}, {"outcome": True}, {}, ["pass"], "pass"])
def test_anything_else_does_not(tmp_path: Path, result: object) -> None:
    (tmp_path / "result.json").write_text(json.dumps(result))
    with pytest.raises(ContractError, match="was not kept"):
        require_kept(tmp_path)


def test_a_missing_result_does_not(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        require_kept(tmp_path)
