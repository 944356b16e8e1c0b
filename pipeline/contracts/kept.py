"""What a later stage asks of a contract: that it was kept."""

from __future__ import annotations

from pathlib import Path

from pipeline import artifacts
from pipeline.errors import ContractError


def require_kept(folder: Path) -> None:
    """Raise ContractError unless the result in `folder` says pass.

    DVC does not run a stage after one that failed, unless told to (`dvc repro --single-item`): this holds even then.
    """
    result = artifacts.read_json(folder / "result.json")
    if not isinstance(result, dict) or result.get("outcome") != "pass":
        raise ContractError(f"{folder}: the contract was not kept; mend the data or the contract, then `dvc repro`")
