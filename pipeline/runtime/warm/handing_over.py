"""Hands a stage over to the server of its run, which has ready what takes long to start (see `runtime/warm`)."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import TryAgain
from pipeline.graph import Stage, load_graph
from pipeline.recipe.execution import load_execution
from pipeline.runtime import spark
from pipeline.runtime.evidence import evidence_folder
from pipeline.runtime.warm import client

_LOG_NAME = "warm.log"


def hand_over(root: Path, name: str, driver: int) -> int | None:
    """Have a stage run by the server of its run; return its exit code, None if this process is to run it itself.

    `driver` is DVC's process. What a later stage needs is made ready meanwhile, and what none needs any more ends.
    Raises TryAgain if the stage's process, or what it hangs on, was killed.
    """
    graph = load_graph(root)
    stage = graph[name]
    try:
        path = client.socket_path(root, driver)
        if graph.is_past_spark(name, at_end=False):
            client.end_spark(path)
        if stage.warm.ahead is not None:
            _prepare(root, graph[stage.warm.ahead], path)
        if not stage.warm.libraries:
            return None
        connection = client.connect_or_start(path, _log())
        with client.Forked(path, connection, _wanted(stage), "pipeline", ["stage", name]) as process:
            code = process.wait()
    except client.NoServer as error:
        print(f"{name}: nothing is ready for it: {error}", flush=True)  # noqa: T201
        return None
    if code < 0:
        raise TryAgain(f"its process was ended by signal {-code}; run again")
    if code == 0 and stage.warm.spark == client.SHARED and graph.is_past_spark(name, at_end=True):
        client.end_spark(path)
    return code


def _prepare(root: Path, later: Stage, path: Path) -> None:
    jvm = spark.wanted_jvm(load_execution(root).spark) if later.warm.spark == client.SHARED else None
    client.prepare(client.connect_or_start(path, _log()), _wanted(later), jvm)


def _wanted(stage: Stage) -> client.Wanted:
    parent = client.PLAIN if stage.warm.spark is None else client.SPARK
    return client.Wanted(parent, stage.warm.libraries, stage.warm.spark)


def _log() -> Path:
    return evidence_folder() / _LOG_NAME
