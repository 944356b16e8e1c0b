"""The Spark session that the data stages and the contracts share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UsageError
from pipeline.runtime.imports import IMPORTS_VARIABLE

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipeline.recipe.execution import SparkSettings


@contextmanager
def spark_session(settings: SparkSettings, name: str) -> Iterator[SparkSession]:
    """Start Spark with the given settings; stop it when the block ends. Python workers run this interpreter.

    Raises UsageError if its JVM does not start.
    """
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    builder = (
        SparkSession.builder.appName(f"ratchet {name}")
        .master(settings.master)
        .config("spark.driver.memory", f"{settings.driver_memory_mb}m")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.sql.shuffle.partitions", "8")
    )
    if settings.master.startswith("local"):
        builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
        # A local JVM spends most of its time here starting up, which takes less work without the optimizing compiler
        # and the parallel collector. Long SQL jobs may need them: `spark.settings` overrides this.
        builder = builder.config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
    for key, value in settings.settings.items():
        builder = builder.config(key, value)
    # Last, because no setting may change them: workers import this very package, not one that happens to be installed
    # (runs have workspaces of their own), and report what they import.
    builder = (
        builder.config("spark.executorEnv.PYTHONPATH", str(Path(__file__).resolve().parents[2]))
        .config(f"spark.executorEnv.{IMPORTS_VARIABLE}", os.environ.get(IMPORTS_VARIABLE, ""))
        .config("spark.python.daemon.module", "pipeline.runtime.spark_workers")
    )
    try:
        session = builder.getOrCreate()
    except PySparkRuntimeError as error:
        raise UsageError(f"Spark cannot start: {error}; `ratchet doctor` says what Java lacks") from error
    session.sparkContext.setLogLevel("ERROR")
    try:
        yield session
    finally:
        session.stop()
