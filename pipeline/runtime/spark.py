"""The Spark session that the data stages and the contracts share."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UsageError
from pipeline.runtime import memory, user
from pipeline.runtime.imports import IMPORTS_VARIABLE

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipeline.recipe.execution import SparkSettings

_JVM_OPTIONS = "spark.driver.extraJavaOptions"


@contextmanager
def spark_session(settings: SparkSettings, name: str) -> Iterator[SparkSession]:
    """Start Spark with the given settings; stop it when the block ends. Python workers run this interpreter.

    Raises UsageError if its JVM does not start.
    """
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    if settings.master.startswith(
        "local"
    ):  # else the JVM asks for the address of this machine's name, which may have none
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    chosen = _chosen(settings, name)
    try:
        if not user.is_known_to_the_system():
            _start_as_nameless(chosen)
        session = SparkSession.builder.config(map=chosen).getOrCreate()
    except PySparkRuntimeError as error:
        raise UsageError(f"Spark cannot start: {error}; `ratchet doctor` says what Java lacks") from error
    except Py4JJavaError as error:  # of a setting: a folder that is not there, a class that is unknown …
        said = str(error.java_exception.toString()).splitlines()[0]
        raise UsageError(f"Spark cannot start: {said}; look at `spark` in execution.yaml") from error
    session.sparkContext.setLogLevel("ERROR")
    try:
        yield session
    finally:
        memory.note_descendants()  # before its workers end
        session.stop()


def _chosen(settings: SparkSettings, name: str) -> dict[str, str]:
    """Return Spark's settings: ours, those of execution.yaml on top, and those that nothing may change."""
    chosen = {
        "spark.app.name": f"ratchet {name}",
        "spark.master": settings.master,
        "spark.driver.memory": f"{settings.driver_memory_mb}m",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.shuffle.partitions": "8",
    }
    if settings.master.startswith("local"):
        chosen |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            # A local JVM spends most of its time here starting up, which takes less work without the optimizing
            # compiler and the parallel collector. Long SQL jobs may need them: `spark.settings` overrides this.
            _JVM_OPTIONS: "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        }
    # Last, because no setting may change them: workers import this very package, not one that happens to be installed
    # (runs have workspaces of their own), and report what they import.
    return {
        **chosen,
        **settings.settings,
        "spark.executorEnv.PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        f"spark.executorEnv.{IMPORTS_VARIABLE}": os.environ.get(IMPORTS_VARIABLE, ""),
        "spark.python.daemon.module": "pipeline.runtime.spark_workers",
    }


def _start_as_nameless(chosen: dict[str, str]) -> None:
    """Start Spark for a user whom the system does not know: Java gets a home, Hadoop a user to be logged in.

    Both ask the system alone, no variable: without a home Spark's launcher fails, without a name whatever opens a file.
    """
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway

    home = json.dumps(
        f"-Duser.home={Path.home()}", ensure_ascii=False
    )  # quotes and escapes as Spark's launcher reads them
    chosen[_JVM_OPTIONS] = " ".join(filter(None, (chosen.get(_JVM_OPTIONS), home)))
    conf = SparkConf(loadDefaults=False).setAll(list(chosen.items()))
    gateway = launch_gateway(conf)
    hadoop = gateway.jvm.org.apache.hadoop.security.UserGroupInformation
    hadoop.setLoginUser(hadoop.createRemoteUser(user.name()))
    SparkContext(conf=conf, gateway=gateway)
