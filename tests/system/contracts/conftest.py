"""What the tests of contracts share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.contracts import checking, frames
from pipeline.contracts.suites import read_suite
from tests.system.contracts.tables import shipped, write_raw, write_suite

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Check = Callable[..., checking.Checked]


def check_raw_data(spark: SparkSession, contract: Path, folder: Path) -> checking.Checked:
    """Hold raw data in a folder against a contract."""
    raw = frames.open_raw(folder)
    suite = read_suite(contract, frames.raw_columns(raw))
    return checking.check(frames.raw_frame(spark, raw), suite, checking.bind(suite), raw.manifest.digest)


@pytest.fixture
def check_raw(spark: SparkSession, tmp_path: Path) -> Check:
    def check(columns: dict[str, list[Any]], *expectations: tuple[str, dict[str, Any]]) -> checking.Checked:
        path = write_suite(tmp_path / "raw.yaml", *expectations) if expectations else shipped("raw.yaml", tmp_path)
        return check_raw_data(spark, path, write_raw(tmp_path / "raw", columns))

    return check
