"""A setting of Spark's that keeps it from starting is one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.project import ROOT

CODE = """
from pipeline.recipe.execution import SparkSettings
from pipeline.runtime.spark import spark_session

settings = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": "file:///nowhere"}
try:
    with spark_session(SparkSettings(settings=settings), "test"):
        print("started")
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_folder_for_events_that_is_not_there_is_told() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == (
        "UsageError Spark cannot start: java.io.FileNotFoundException: File file:/nowhere does not exist; "
        "look at `spark` in execution.yaml\n"
    )


KILLED = """
import os, signal
from pipeline.errors import TryAgain
from pipeline.recipe.execution import SparkSettings
from pipeline.runtime.spark import spark_session
try:
    with spark_session(SparkSettings(), "killed") as spark:
        os.kill(spark.sparkContext._gateway.proc.pid, signal.SIGKILL)
        spark.range(10).count()
except TryAgain as error:
    print(error)
"""


def test_a_jvm_of_its_own_that_is_killed_is_a_reason_to_try_again() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("Spark's JVM was killed; run again\n", 0), done.stderr


LOADED = """
import sys
from pathlib import Path

import pytest
from pathlib import Path
from pipeline.recipe.execution import SparkSettings
from pipeline.runtime.spark import wanted_jvm, spark_session
name = "spark.driver.extraJavaOptions"
options = wanted_jvm(SparkSettings(), Path.cwd())["conf"][name]
log = f" -Xlog:class+load:file={sys.argv[1]}"
with spark_session(SparkSettings(settings={name: options + log}), "archived") as spark:
    spark.range(10).groupBy("id").count().collect()
"""


@pytest.mark.skipif(not (Path(sys.prefix) / "spark.jsa").is_file(), reason="set-up could not archive the JVM's classes")
def test_the_jvm_takes_its_classes_from_the_archive_of_set_up(tmp_path: Path) -> None:
    log = tmp_path / "loaded.txt"
    subprocess.run([sys.executable, "-c", LOADED, str(log)], cwd=ROOT, check=True)
    of_spark = [line for line in log.read_text().splitlines() if " org.apache.spark." in line and "Lambda" not in line]
    assert sum("shared objects file (top)" in line for line in of_spark) > 0.9 * len(of_spark) > 1000
