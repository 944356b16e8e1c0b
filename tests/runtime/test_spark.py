"""What a JVM of Spark's is asked for."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from pipeline.recipe.execution import SparkSettings
from pipeline.runtime.spark import wanted_jvm

OPTIONS = "spark.driver.extraJavaOptions"


@pytest.mark.parametrize("folder", ["plain", "with blanks and 'quotes'"])
def test_a_local_jvm_takes_the_archived_classes_if_there_are_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    environment = tmp_path / folder
    environment.mkdir()
    monkeypatch.setattr(sys, "prefix", str(environment))
    assert "Archive" not in wanted_jvm(SparkSettings(), tmp_path)["conf"][OPTIONS]
    (environment / "spark.jsa").touch()
    options = shlex.split(wanted_jvm(SparkSettings(), tmp_path)["conf"][OPTIONS])
    assert f"-XX:SharedArchiveFile={environment}/spark.jsa" in options
    assert OPTIONS not in wanted_jvm(SparkSettings(master="spark://there:7077"), tmp_path)["conf"]
