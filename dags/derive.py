"""Stages → tasks: what Airflow has to know about each stage, from dvc.yaml alone. No Airflow here.

A stage's `meta` may hold hints for the scheduler:

    group             the task group it is drawn in (data, contracts, training, verdict, publication)
    timeout_minutes   after which the task is killed and has failed (360)
    retries           how often it is retried after an error that may pass (2)
    pool              the Airflow pool in which it takes a slot (default_pool)
    image             a container image to run it in instead of the worker's own environment
    asset             the asset that its success updates: prepared, or champion

What the two assets say is found by role (`makes`, in pipeline/graph.py): the prepared data, the registration.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import UsageError, nearest
from pipeline.graph import GRAPH_FILE, Graph, Role, Stage

PREPARED, CHAMPION = "prepared", "champion"  # the assets
_SAID_BY: dict[str, Role] = {PREPARED: "prepared", CHAMPION: "registration"}
OPEN, CLOSE, APPROVE = "open", "close", "approve"  # the tasks that are not stages
_HINTS: dict[str, tuple[type | tuple[type, ...], Any]] = {
    "group": (str, "stages"),
    "timeout_minutes": ((int, float), 360),
    "retries": (int, 2),
    "pool": (str, "default_pool"),
    "image": (str, None),
    "asset": (str, None),
}
_NOT_OURS = {"contract", "makes", "rows", "volatile", "warm"}  # pipeline/graph.py reads them
_GROUP = re.compile(r"[\w.-]{1,100}", re.ASCII)
_YEAR_MINUTES = 366 * 24 * 60


@dataclass(frozen=True)
class TaskSpec:
    """One task: the stage it runs, the stages it waits for, and its hints."""

    stage: str
    description: str
    parents: tuple[str, ...]
    group: str
    timeout_minutes: float
    retries: int
    pool: str
    image: str | None
    asset: str | None


def task_specs(graph: Graph) -> tuple[TaskSpec, ...]:
    """Return one task per stage, parents before children; raise UsageError for a hint that is unknown or invalid."""
    taken = {OPEN, CLOSE, APPROVE}
    for stage in graph.stages:
        if stage.name in taken:
            raise UsageError(f"{GRAPH_FILE}: stage '{stage.name}': Airflow has a task of its own with that name")
    taken.update(stage.name for stage in graph.stages)
    return tuple(
        TaskSpec(
            stage=stage.name,
            description=stage.description,
            parents=tuple(parent.name for parent in graph.parents(stage)),
            **_hints(stage, graph, taken),
        )
        for stage in graph.stages
    )


def groups(specs: tuple[TaskSpec, ...]) -> list[str]:
    """Return the groups in the order of their first stages."""
    return list(dict.fromkeys(spec.group for spec in specs))


def publishing(specs: tuple[TaskSpec, ...]) -> tuple[str, ...]:
    """Return the stage whose success is a new champion, then those that wait for it; nothing if no stage publishes."""
    found: list[str] = []
    for spec in specs:  # parents come first
        if spec.asset == CHAMPION or not set(found).isdisjoint(spec.parents):
            found.append(spec.stage)
    return tuple(found)


def _hints(stage: Stage, graph: Graph, taken: Collection[str]) -> Mapping[str, Any]:
    where = f"{GRAPH_FILE}: stage '{stage.name}': meta"
    hints = {name: default for name, (_, default) in _HINTS.items()}
    for name, value in stage.meta.items():
        if name in _NOT_OURS:
            continue
        if name not in _HINTS:
            raise UsageError(f"{where}.{name}: unknown hint{nearest(name, _HINTS)}")
        kind = _HINTS[name][0]
        is_number = isinstance(value, int | float)
        if not isinstance(value, kind) or isinstance(value, bool) or (is_number and value < 0) or value == "":
            raise UsageError(f"{where}.{name}: {value!r:.80} is not a valid value")
        hints[name] = value
    if not 0 < hints["timeout_minutes"] <= _YEAR_MINUTES:  # NaN fails both
        raise UsageError(f"{where}.timeout_minutes: must be above 0 and at most {_YEAR_MINUTES}, a year")
    if not _GROUP.fullmatch(hints["group"]):
        raise UsageError(f"{where}.group: {hints['group']!r:.80}: letters, digits, '_', '.' and '-' only, at most 100")
    if hints["group"] in taken:
        raise UsageError(f"{where}.group: a task is called '{hints['group']}' already")
    if hints["asset"] is not None:
        _check_asset(hints["asset"], graph, f"{where}.asset")
    return hints


def _check_asset(asset: str, graph: Graph, where: str) -> None:
    if asset not in _SAID_BY:
        raise UsageError(f"{where}: no asset '{asset}'{nearest(asset, _SAID_BY)}")
    try:
        graph.artifact(_SAID_BY[asset])
    except UsageError as error:
        raise UsageError(f"{where}: nothing to say of the asset '{asset}': {error}") from error
