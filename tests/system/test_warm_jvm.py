"""The JVM of a run: what a stage leaves in it reaches no other, and a stage that has no share in it works without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from pipeline.runtime.warm import server
from tests.processes_in import is_gone
from tests.waiting import wait_for
from tests.warm import Done, Run, running

STAGE = """
import json, os, signal, sys, threading, time
from pathlib import Path
from pipeline.errors import RatchetError
from pipeline.recipe.execution import SparkSettings
from pipeline.runtime import imports, processes
from pipeline.runtime.spark import spark_session

try:
    if sys.argv[3]:
        imports.collect_imports(Path(sys.argv[3]))
    with spark_session(SparkSettings(**json.loads(sys.argv[1])), "test") as spark:
        java, context = spark._jvm, spark.sparkContext
        jvm = java.java.lang.ProcessHandle.current().pid()
        print(jvm, flush=True)
        exec(sys.argv[2])
except RatchetError as error:
    print(error, file=sys.stderr)
    processes.leave(error.exit_code)
processes.leave(0)  # as a stage does
"""


SPARK = {"libraries": ["pyspark.sql"], "parent": server.SPARK, "spark": "shared"}


def stage(run: Run, code: str = "", imports: str = "", **settings: Any) -> tuple[int, Done]:
    """Run a stage with this code in its session; return its JVM's process id, and how it has ended."""
    done = run.run(STAGE, json.dumps(settings), code, imports, **SPARK)
    told = done.out.split()
    return int(told[0]) if told and told[0].isdecimal() else 0, done


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with running(tmp_path_factory.mktemp("warm") / "run") as made:
        yield made


def jvm_of(run: Run, code: str = "", imports: str = "", **settings: Any) -> int:
    pid, done = stage(run, code, imports, **settings)
    assert done.code == 0, done.err
    return pid


LEFT_AND_CLEARED = """
spark.range(5).createOrReplaceTempView("view")
spark.range(5).createOrReplaceGlobalTempView("global_view")
spark.range(5).cache().count()
context.parallelize([1, 2]).cache().count()
spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
spark.conf.set("leaked", "1")
spark.udf.register("own", lambda: 1)
context.setLogLevel("DEBUG")
context.setJobGroup("group", "words", True)
context.setLocalProperty("spark.scheduler.pool", "own")
java.SparkSession.setDefaultSession(spark._jsparkSession)
"""
LOOKS = """
print(json.dumps({
    "views": [table.name for table in spark.catalog.listTables()],
    "global views": [table.name for table in spark.catalog.listTables("global_temp")],
    "RDDs": len(context._jsc.getPersistentRDDs()),
    "plans": not spark._jsparkSession.sharedState().cacheManager().isEmpty(),
    "time zone": spark.conf.get("spark.sql.session.timeZone"),
    "functions": [function.name for function in spark.catalog.listFunctions() if function.name == "own"],
    "level": str(java.org.apache.logging.log4j.LogManager.getRootLogger().getLevel()),
    "pool": context.getLocalProperty("spark.scheduler.pool"),
    "group": context.getLocalProperty("spark.jobGroup.id"),
    "jobs": list(context._jsc.sc().statusTracker().getActiveJobIds()),
    "property": java.System.getProperty("leaked"),
    "user's language": str(java.java.util.Locale.getDefault()),
    "the JVM's time zone": java.java.util.TimeZone.getDefault().getID(),
    "setting": spark.conf.get("leaked", None),
    "Hadoop": context._jsc.hadoopConfiguration().get("leaked"),
    "files": context._jsc.sc().listFiles().size(),
    "checkpoints": str(context._jsc.sc().getCheckpointDir()),
    "databases": [database.name for database in spark.catalog.listDatabases()],
    "queries": len(spark.streams.active),
    "timers": [str(thread.getName()) for thread in java.Thread.getAllStackTraces().keySet().toArray()
        if "leaked" in str(thread.getName())],
}))
"""
LEFT_FOR_GOOD = """
java.System.setProperty("leaked", "1")
java.java.util.Locale.setDefault(java.java.util.Locale.forLanguageTag("tr"))
java.java.util.TimeZone.setDefault(java.java.util.TimeZone.getTimeZone("Asia/Tokyo"))
java.org.apache.logging.log4j.core.config.Configurator.setLevel("some.logger",
    java.org.apache.logging.log4j.Level.TRACE)
context._jsc.hadoopConfiguration().set("leaked", "1")
context.addFile(os.path.abspath("out"))
context.setCheckpointDir(os.path.abspath("checkpoints"))
spark.sql("CREATE DATABASE leaked")
spark.sql("CREATE TABLE leaked_table (value INT) USING parquet")
spark.sql("CREATE FUNCTION leaked_function AS 'org.apache.spark.sql.catalyst.expressions.Abs'")
java.java.util.Timer("leaked timer", True)
spark._jsparkSession.sharedState().conf().set("spark.sql.shuffle.partitions", "3")
context._jsc.sc().conf().set("spark.x.leaked", "1")
java.org.apache.hadoop.security.UserGroupInformation.setLoginUser(
    java.org.apache.hadoop.security.UserGroupInformation.createRemoteUser("leaked"))
java.System.setOut(java.System.err)
spark.readStream.format("rate").load().writeStream.format("noop").start()
"""
WORDS = (
    "a setting of the JVM", "a time zone or a language", "a level of the log", "a setting of Hadoop",
    "a file added to Spark", "a folder of checkpoints", "a database", "a table", "a function", "a streaming query",
    "a thread", "a setting of Spark", "a user", "an output",
)  # fmt: skip


def test_what_a_stage_leaves_is_not_seen_by_the_next_whether_it_is_cleared_or_the_jvm_is_another(run: Run) -> None:
    first, before = stage(run, LOOKS)
    assert before.code == 0, before.err
    assert jvm_of(run, LEFT_AND_CLEARED) == first
    second, after = stage(run, LOOKS)
    assert (second, after.out) == (first, before.out), after.err
    assert jvm_of(run, LEFT_FOR_GOOD) == first
    third, after = stage(run, LOOKS)
    assert third != first
    assert after.out.splitlines()[1:] == before.out.splitlines()[1:], after.err
    told = (run.root / "warm.log").read_text()
    [line] = [line for line in told.splitlines() if line.startswith("a stage has left ")]
    assert line.endswith(": the next one gets another JVM")
    assert set(line.removeprefix("a stage has left ").partition(": the next")[0].split(", ")) == set(WORDS)
    wait_for(lambda: is_gone(first), "the JVM is gone")


def children_of(jvm: int) -> list[psutil.Process]:
    """Return the processes of Spark's Python workers: the daemons and what they have forked."""
    return [child for child in psutil.Process(jvm).children(recursive=True) if not is_gone(child.pid)]


JOB = "context.parallelize([1, 2], 2).foreach(lambda _: (Path('working').touch(), time.sleep(1000)))"
WAITS_FOR_IT = """
while not Path("working").exists():
    time.sleep(0.01)
"""


@pytest.mark.parametrize(
    "code",
    [
        f"threading.Thread(target=lambda: {JOB}, daemon=True).start(){WAITS_FOR_IT}",
        """
def go_on():
    while True:
        context.parallelize([1, 2], 2).foreach(lambda _: Path("working").touch())
threading.Thread(target=go_on, daemon=True).start()"""
        + WAITS_FOR_IT,
    ],
    ids=["a job", "a thread that goes on giving orders"],
)
def test_what_a_stage_leaves_running_ends_with_it(run: Run, code: str) -> None:
    (run.root / "working").unlink(missing_ok=True)
    jvm = jvm_of(run, code)
    (run.root / "working").unlink()
    _, after = stage(run, LOOKS)
    assert json.loads(after.out.splitlines()[1])["jobs"] == []
    wait_for(lambda: is_gone(jvm) or not children_of(jvm), "the workers are gone")
    assert not (run.root / "working").exists()


def test_the_workers_of_a_stage_end_with_it_and_tell_each_stage_what_they_import(run: Run) -> None:
    code = """
def work(rows):
    import pipeline.data.identity
    return [*rows, os.getppid()]
print(context.parallelize([0], 1).mapPartitions(work).collect()[-1])
"""
    told = []
    for name in ("first", "second"):
        jvm, done = stage(run, code, name)
        assert done.code == 0, done.err
        daemon = int(done.out.split()[-1])
        assert psutil.pid_exists(jvm)
        wait_for(lambda daemon=daemon: is_gone(daemon), "the daemon is gone")  # type: ignore[misc]
        told.append(set((run.root / name).read_text().split()))
    assert told[0] == told[1] >= {"pipeline.data.identity", "pipeline.runtime.imports"}


def test_a_stage_that_wants_a_jvm_of_its_own_is_given_none(run: Run) -> None:
    asks = """
from pipeline.runtime.warm import client
with client.leased_jvm({"conf": {}, "variables": {}, "login": None}) as leased:
    print(leased)
"""
    done = run.run(asks, **{**SPARK, "spark": "own"})
    assert (done.out, done.err) == ("None\n", "Spark gets a JVM of its own: the stage does not share it\n")


def test_of_two_stages_at_once_the_second_gets_a_jvm_of_its_own(run: Run) -> None:
    waits = """
Path("first").unlink(missing_ok=True)
Path("has it").touch()
while not Path("first").exists():
    time.sleep(0.01)
"""
    (run.root / "first").touch()
    with (run.root / "of the first").open("w") as out:
        outputs = (out.fileno(), out.fileno())
        first = run.start(STAGE, "{}", waits, "", outputs=outputs, **SPARK)
        with first:
            wait_for((run.root / "has it").exists, "the first has it")
            second, done = stage(run)
            assert (done.code, done.err.splitlines()[0]) == (
                0,
                "Spark gets a JVM of its own: another stage is using it",
            ), done.err
            (run.root / "first").touch()
            assert first.wait() == 0
    assert second != int((run.root / "of the first").read_text().split()[0])
    wait_for(lambda: is_gone(second), "the second's JVM is gone")


@pytest.mark.parametrize("victim", ["jvm", "holder"])
def test_a_jvm_that_is_killed_at_work_is_a_reason_to_try_again_even_where_its_error_is_passed_over(
    run: Run, victim: str
) -> None:
    pid = "jvm" if victim == "jvm" else "processes.parent_of(jvm)"
    code = f"""
import contextlib
(Path("working")).unlink(missing_ok=True)
def kill():
    while not Path("working").exists():
        time.sleep(0.01)
    os.kill({pid}, signal.SIGKILL)
threading.Thread(target=kill, daemon=True).start()
with contextlib.suppress(Exception):
    {JOB}
"""
    jvm, done = stage(run, code)
    assert (done.code, done.err.splitlines()[-1]) == (75, "Spark's JVM was killed; run again"), done.err
    wait_for(lambda: is_gone(jvm), "the JVM is gone")


def test_a_worker_that_is_killed_at_work_is_a_reason_to_try_again(run: Run) -> None:
    _, done = stage(run, "context.parallelize([1], 1).foreach(lambda _: os.kill(os.getpid(), signal.SIGKILL))")
    assert (done.code, "a Python worker of Spark's was killed, or has crashed; run again" in done.err) == (75, True)


def test_a_stage_that_fails_takes_its_jvm_with_it(run: Run) -> None:
    jvm, done = stage(run, "raise ValueError('out of memory')")
    assert done.code == 1
    assert jvm_of(run) != jvm


def test_a_jvm_that_cannot_start_is_told_as_it_is_without_a_server(run: Run) -> None:
    _, done = stage(run, settings={"spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:+UseG1GC"})
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith("Spark cannot start: ")
    _, done = stage(run, settings={"spark.eventLog.enabled": "true", "spark.eventLog.dir": "file:///nowhere"})
    assert done.code == 2
    assert done.err.splitlines()[-1] == (
        "Spark cannot start: java.io.FileNotFoundException: File file:/nowhere does not exist; "
        "look at `spark` in execution.yaml"
    )


def test_other_settings_of_spark_get_another_jvm(run: Run) -> None:
    before = jvm_of(run)
    after, done = stage(run, "print(context.defaultParallelism)", master="local[1]")
    assert (done.code, done.out.split()[1]) == (0, "1"), done.err
    assert after != before
    wait_for(lambda: is_gone(before), "the JVM with the other settings is gone")
