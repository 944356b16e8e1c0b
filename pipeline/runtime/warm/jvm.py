"""Starts the JVM of Spark, and puts it in order between two stages. Third-party libraries only: a parent imports it.

A stage has a session of its own in the JVM's one Spark context. What sessions share is cleared when a stage is done; if
anything is left that was not there at the beginning, that is said, and the JVM is not used again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

_JOBS_END_WITHIN_S = 5.0
_OF_A_SESSION = (
    "org.apache.spark.sql.util.ExecutionListenerBus",
    "org.apache.spark.sql.execution.streaming.runtime.StreamingQueryListenerBus",
)
_LOG_LEVEL = "ERROR"
_CALLS = "py4j."  # the packages of what runs a call from Python


def start_jvm(conf: Mapping[str, str], login: str | None) -> tuple[Any, Any]:
    """Start a JVM and a Spark context in it; return its gateway and the Java context.

    `login`: the name of a user whom the system does not know: Hadoop asks the system alone, and without a name whatever
    opens a file fails. Raises PySparkRuntimeError if the JVM does not start, Py4JJavaError if Spark refuses a setting.
    """
    from pyspark import SparkConf
    from pyspark.java_gateway import launch_gateway

    settings = SparkConf(loadDefaults=False).setAll(list(conf.items()))
    gateway = launch_gateway(settings)
    try:
        if login is not None:
            hadoop = gateway.jvm.org.apache.hadoop.security.UserGroupInformation
            hadoop.setLoginUser(hadoop.createRemoteUser(login))
        java_conf = gateway.jvm.SparkConf()
        for key, value in conf.items():
            java_conf.set(key, value)
        return gateway, gateway.jvm.JavaSparkContext(java_conf)
    except BaseException:
        gateway.proc.stdin.close()  # at which it ends
        raise


class Jvm:
    """A JVM with one Spark context, and the session from which those of the stages are made."""

    def __init__(self, gateway: Any, context: Any) -> None:
        self._jvm, self._context = gateway.jvm, context
        self._sessions = gateway.jvm.org.apache.spark.sql.classic.SparkSession
        self._session = self._sessions.builder().sparkContext(context.sc()).getOrCreate()
        context.setLogLevel(_LOG_LEVEL)
        self._offer()
        self._pristine = self._state()

    def put_in_order(self) -> list[str]:
        """Clear what a stage has left; return in words what cannot be cleared."""
        self._context.setLogLevel(_LOG_LEVEL)
        self._context.sc().cancelAllJobs()
        self._session.catalog().clearCache()
        self._session.sharedState().globalTempViewManager().clear()
        for data in list(self._context.getPersistentRDDs().values()):
            data.unpersist()
        self._offer()
        is_idle = self._is_idle()
        state = self._state()
        left = [name for name, value in state.items() if value != self._pristine[name]]
        return left if is_idle else ["a running job", *left]

    def _offer(self) -> None:
        """Make the first session the default one again: those of the stages are made from it."""
        self._sessions.setDefaultSession(self._session)
        self._sessions.clearActiveSession()

    def _is_idle(self) -> bool:
        tracker = self._context.statusTracker()
        end_s = time.monotonic() + _JOBS_END_WITHIN_S
        while list(tracker.getActiveJobIds()):
            if time.monotonic() > end_s:
                return False
            time.sleep(0.02)
        return True

    def _state(self) -> dict[str, str]:
        """Return what stages share besides data, in words that are equal as long as nothing of it changes."""
        scala, shared = self._context.sc(), self._session.sharedState()
        return {
            "a setting of the JVM": str(self._jvm.java.util.TreeMap(self._jvm.System.getProperties())),
            "a time zone or a language": f"{self._jvm.java.util.TimeZone.getDefault().getID()} "
            f"{self._jvm.java.util.Locale.getDefault()}",
            "a level of the log": str(self._log_levels()),
            "a setting of Spark": str(self._session.conf().getAll())
            + shared.conf().toDebugString()
            + scala.conf().toDebugString(),
            "a setting of Hadoop": self._hadoop_settings(),
            "a file added to Spark": str(scala.listFiles()) + str(scala.listJars()) + str(scala.listArchives()),
            "a folder of checkpoints": str(scala.getCheckpointDir()),
            "a database": str(shared.externalCatalog().listDatabases())
            + str(shared.externalCatalog().getDatabase("default")),
            "a table": str(shared.externalCatalog().listTables("default")),
            "a function": str(shared.externalCatalog().listFunctions("default", "*")),
            "a streaming query": str(shared.activeStreamingQueries().keySet()),
            "cached data": str(not shared.cacheManager().isEmpty()),
            "a global view": str(shared.globalTempViewManager().listViewNames("*")),
            "a listener": str(self._listeners()),
            "a thread": str(self._threads()),
            "a user": str(self._jvm.org.apache.hadoop.security.UserGroupInformation.getLoginUser()),
            "an output": str([self._jvm.System.identityHashCode(each) for each in self._outputs()]),
        }

    def _hadoop_settings(self) -> str:
        settings = self._context.hadoopConfiguration()
        return str(settings.getPropsWithPrefix(""))

    def _log_levels(self) -> dict[str, str]:
        log = self._jvm.org.apache.logging.log4j.LogManager.getContext(False).getConfiguration()
        of_java = self._jvm.java.util.logging.LogManager.getLogManager().getLogger("").getLevel()
        levels = {str(name): str(settings.getLevel()) for name, settings in sorted(log.getLoggers().items())}
        return {**levels, "of java.util.logging": str(of_java)}

    def _outputs(self) -> list[Any]:
        system = self._jvm.System
        return [system.out, system.err]

    def _listeners(self) -> list[str]:
        """Return the classes of what listens to Spark; each session has some of its own, which go with it."""
        listeners = self._context.sc().listenerBus().listeners()
        names = [str(listeners.get(number).getClass().getName()) for number in range(listeners.size())]
        return sorted(name for name in names if name not in _OF_A_SESSION)

    def _threads(self) -> list[str]:
        """Return the names of the threads that somebody's own calls have started: timers, and what keeps a JVM alive.

        Spark's own threads are daemons, and Py4J's have a call of theirs on the stack. One without a stack is about to
        begin or to end.
        """
        return sorted(
            str(thread.getName())
            for thread in self._jvm.Thread.getAllStackTraces().keySet().toArray()
            if thread.getClass().getName() == "java.util.TimerThread" or not (thread.isDaemon() or _is_call(thread))
        )


def _is_call(thread: Any) -> bool:
    frames = [str(frame.getClassName()) for frame in thread.getStackTrace()]
    return not frames or any(name.startswith(_CALLS) for name in frames)
