"""The Spark session that the data stages and the contracts share."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pipeline.errors import TryAgain, UsageError
from pipeline.runtime import memory, processes, user
from pipeline.runtime.imports import IMPORTS_VARIABLE
from pipeline.runtime.spark_workers import STAGE_VARIABLE
from pipeline.runtime.warm import client

if TYPE_CHECKING:
    from py4j.java_gateway import JavaGateway
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    from pipeline.recipe.execution import SparkSettings

_JVM_OPTIONS = "spark.driver.extraJavaOptions"
_EXECUTOR = "spark.executorEnv."
_JVM_ENDED = "Spark's JVM was killed; run again"
_WORKER_ENDED = ("Python worker exited unexpectedly", "EOFException occurred while reading the port")  # Spark's words


@contextmanager
def spark_session(settings: SparkSettings, name: str) -> Iterator[SparkSession]:
    """Yield a session in the run's JVM, or in one that is started for the block. Python workers run this interpreter.

    Raises UsageError if the JVM does not start, TryAgain if it, or a worker of its, is killed.
    """
    wanted = wanted_jvm(settings, Path(__file__).parents[2])
    os.environ.update(wanted["variables"])
    with client.leased_jvm(wanted) as leased:
        conf = {**wanted["conf"], "spark.app.name": f"ratchet {name}", **_of_stage(settings)}
        with _kept_interrupt():
            session = _attached(conf, leased) if leased else _started(conf, wanted["login"])
        context = session.sparkContext
        pid = leased["pid"] if leased else context._gateway.proc.pid  # noqa: SLF001 - PySpark has no other way to it
        try:
            context.setLogLevel("ERROR")
            yield session
        except Exception as error:
            _require_alive(pid, context, error)
            if any(words in str(error) for words in _WORKER_ENDED):
                raise TryAgain("a Python worker of Spark's was killed, or has crashed; run again") from error
            raise
        else:
            _require_alive(pid, context)  # who uses it may pass over an error of Spark's
        finally:
            memory.note_descendants(pid if leased else None)  # before its workers end
            if not leased and processes.is_running(pid, "java"):
                session.stop()


@contextmanager
def _kept_interrupt() -> Iterator[None]:
    """Keep what an interrupt does: PySpark's own way asks the JVM something, in the middle of another call to it.

    PySpark sets its way while it makes a context and goes on to make the session: it is kept from that.
    """
    from pyspark.core import context

    vars(context)["signal"] = SimpleNamespace(SIGINT=signal.SIGINT, signal=lambda *_: None)
    try:
        yield
    finally:
        vars(context)["signal"] = signal
    logging.getLogger().addFilter(_is_no_interrupt)  # py4j logs its traceback


def _is_no_interrupt(record: logging.LogRecord) -> bool:
    return not (record.exc_info and record.exc_info[0] is KeyboardInterrupt)


def wanted_jvm(settings: SparkSettings, root: Path) -> dict[str, Any]:
    """Return what any stage needs of a JVM: `conf` of Spark, `variables` of its environment, a `login` (see `jvm`).

    `root` is the folder whose code the stages run, and Spark's Python workers.
    """
    variables = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    if _is_local(settings):  # else the JVM asks for the address of this machine's name, which may have none
        variables["SPARK_LOCAL_IP"] = "127.0.0.1"
    conf, login = _conf(settings, root), None
    if not user.is_known_to_the_system():
        # Java and Hadoop ask the system alone, no variable: without a home Spark's launcher fails, without a name
        # whatever opens a file.
        home = json.dumps(f"-Duser.home={Path.home()}", ensure_ascii=False)  # quoted as Spark's launcher reads it
        conf[_JVM_OPTIONS] = " ".join(filter(None, (conf.get(_JVM_OPTIONS), home)))
        login = user.name()
    return {"conf": conf, "variables": variables, "login": login}


def _is_local(settings: SparkSettings) -> bool:
    return settings.master.startswith("local")


def _conf(settings: SparkSettings, root: Path) -> dict[str, str]:
    """Return Spark's settings: ours, those of execution.yaml on top, and those that nothing may change."""
    conf = {
        "spark.app.name": "ratchet",
        "spark.master": settings.master,
        "spark.driver.memory": f"{settings.driver_memory_mb}m",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.shuffle.partitions": "8",
    }
    if _is_local(settings):
        conf |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            # A local JVM spends most of its time here starting up, which takes less work without the optimizing
            # compiler and the parallel collector. Long SQL jobs may need them: `spark.settings` overrides this.
            _JVM_OPTIONS: " ".join(("-XX:TieredStopAtLevel=1 -XX:+UseSerialGC", *_archived_classes())),
        }
    # Last, because no setting may change it: workers import this very package, not one that happens to be installed
    # (runs have workspaces of their own).
    return {
        **conf,
        **settings.settings,
        f"{_EXECUTOR}PYTHONPATH": str((root / "pipeline").resolve().parent),
        "spark.python.daemon.module": "pipeline.runtime.spark_workers",
    }


def _archived_classes() -> tuple[str, ...]:
    """Return the JVM's options for the classes that set-up has archived, if it has: `scripts/archive_classes.py`.

    A JVM for which the archive was not made does without, and would say so among what a stage says.
    """
    archive = Path(sys.prefix) / "spark.jsa"
    if not archive.is_file():
        return ()
    return (
        json.dumps(f"-XX:SharedArchiveFile={archive}", ensure_ascii=False),
        "-Xlog:disable",
        "-Xlog:all=error:stderr",
    )


def _of_stage(settings: SparkSettings) -> dict[str, str]:
    """Return what is a stage's own: its Python workers report to it what they import, and end with it."""
    variables = {IMPORTS_VARIABLE: os.environ.get(IMPORTS_VARIABLE, "")}
    if _is_local(settings):
        variables[STAGE_VARIABLE] = str(os.getpid())
    return {f"{_EXECUTOR}{name}": value for name, value in variables.items()}


def _started(conf: Mapping[str, str], login: str | None) -> SparkSession:
    """Return a session in a JVM of this process's own."""
    from py4j.protocol import Py4JJavaError
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    from pipeline.runtime.warm import jvm

    try:
        # A JVM that finds nobody waiting for its address does not end.
        with processes.ended_by_interrupt():
            if login is not None:
                gateway, context = jvm.start_jvm(conf, login)
                own = SparkConf(loadDefaults=False).setAll(list(conf.items()))
                SparkContext(conf=own, gateway=gateway, jsc=context)
            return SparkSession.builder.config(map=dict(conf)).getOrCreate()
    except PySparkRuntimeError as error:
        raise UsageError(f"Spark cannot start: {error}; `ratchet doctor` says what Java lacks") from error
    except Py4JJavaError as error:  # of a setting: a folder that is not there, a class that is unknown …
        said = str(error.java_exception.toString()).splitlines()[0]
        raise UsageError(f"Spark cannot start: {said}; look at `spark` in execution.yaml") from error


def _attached(conf: Mapping[str, str], leased: Mapping[str, Any]) -> SparkSession:
    """Return a session of its own in the run's JVM. Raises TryAgain if the JVM is gone."""
    from py4j.protocol import Py4JError
    from pyspark.java_gateway import launch_gateway

    memory.forget_peak(leased["pid"])
    address = {"PYSPARK_GATEWAY_PORT": str(leased["port"]), "PYSPARK_GATEWAY_SECRET": leased["secret"]}
    os.environ.update(address)
    try:
        gateway = launch_gateway()  # which only connects then
        return _session_of(gateway, conf)
    except (Py4JError, OSError) as error:
        raise TryAgain(_JVM_ENDED) from error
    finally:
        for name in address:
            del os.environ[name]


def _session_of(gateway: JavaGateway, conf: Mapping[str, str]) -> SparkSession:
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    first = gateway.jvm.org.apache.spark.sql.classic.SparkSession.getDefaultSession().get()
    shared = gateway.jvm.JavaSparkContext.fromSparkContext(first.sparkContext())
    own = SparkConf(loadDefaults=False, _jvm=gateway.jvm).setAll(list(conf.items()))
    return SparkSession(SparkContext(conf=own, gateway=gateway, jsc=shared), first.newSession())


def _require_alive(jvm: int, context: SparkContext, error: Exception | None = None) -> None:
    if not processes.is_running(jvm, "java") or _has_stopped(context):
        raise TryAgain(_JVM_ENDED) from error


def _has_stopped(context: SparkContext) -> bool:
    """Return whether Spark has stopped, as it does first where a JVM is told to end."""
    from py4j.protocol import Py4JError

    try:
        return bool(context._jsc.sc().isStopped())  # noqa: SLF001 - PySpark has no other way to it
    except (Py4JError, OSError):
        return True
