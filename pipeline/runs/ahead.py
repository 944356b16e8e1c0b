"""Makes ready what the first stages of a run need, while DVC itself is still loading.

Which stages will run is a guess, from the parameters: what was wrong about it costs time, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import RatchetError
from pipeline.graph import LOCK_FILE, Graph, Stage, load_graph
from pipeline.recipe.execution import load_execution
from pipeline.recipe.resolving import CODE, RESOLVED_FILE, complete, load_checked
from pipeline.recipe.strict_yaml import parse_yaml
from pipeline.runs.dvc_repro import Order
from pipeline.runtime import shell
from pipeline.runtime.warm import client, planning


def make_ready(workspace: Path, home: Path, environment: Mapping[str, str], order: Order, dvc: int, logs: Path) -> None:
    """Make ready what the order needs first, if anything. `dvc` is DVC's process, `home` the project's folder.

    `environment` is that of the run's stages.
    """
    try:
        graph, execution = load_graph(workspace), load_execution(workspace, environment)
        if not execution.server.enabled:
            return
        recipe = complete(load_checked(workspace))
        stages = planning.needed_first(likely_to_run(graph, recipe, _lock(workspace, home), order))
        if not stages:
            return
        of_stages = {**environment, "SHELL": shell.SHELL}  # which it is to what a stage starts
        path = client.socket_path(workspace, dvc, environment)
        connection = client.connect_or_start(path, logs / client.LOG_NAME, execution.server.idle_s, of_stages)
        client.make_ready(connection, planning.plan(workspace, graph, execution), stages)
    except (RatchetError, client.NoServer):
        return  # the stage that needs it will say so


def likely_to_run(
    graph: Graph, recipe: Mapping[str, Any], lock: Mapping[str, Any] | None, order: Order
) -> tuple[Stage, ...]:
    """Return the stages that are likely to run: those whose parameters differ from the lock, and what comes of them.

    Without a lock none is likely, rather than all: another run's results may be in the cache.
    """
    if lock is None:
        return ()
    asked = [stage for stage in graph.stages if order.stage is None or graph.needs(order.stage, stage.name)]
    found = set[str]()
    for stage in asked:  # parents come first
        if order.is_forced or stage.name in found or _differs(stage, recipe, lock.get(stage.name)):
            found |= {stage.name, *(reader.name for reader in graph.readers(stage.name))}
    return tuple(stage for stage in asked if stage.name in found)


def _differs(stage: Stage, recipe: Mapping[str, Any], locked: Mapping[str, Any] | None) -> bool:
    if locked is None:
        return True
    known = (locked.get("params") or {}).get(RESOLVED_FILE, {})
    of_recipe = (key for key in stage.params if key.partition(".")[0] != CODE)
    return any(_value(recipe, key) != known.get(key) for key in of_recipe)


def _value(recipe: Mapping[str, Any], key: str) -> Any:
    value: Any = recipe
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _lock(workspace: Path, home: Path) -> Mapping[str, Any] | None:
    """Return the stages of the nearest lock; none where the run that begins is the first, None if nobody knows."""
    for folder in (workspace, home):
        if (folder / LOCK_FILE).is_file():
            stages = parse_yaml(folder / LOCK_FILE).get("stages")
            return stages if isinstance(stages, Mapping) else {}
    has_run_before = len(list(home.glob("runs/*/record.json"))) > 1  # one is of the run that begins
    return None if has_run_before else {}
