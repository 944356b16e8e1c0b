"""Beginning a run with a recipe of its own: what is asked is checked; its worktree is made if there is work to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline import freshness, history, lockfile, workspace
from pipeline.artifacts import read_json, write_json
from pipeline.configs import load_config, recipe_values
from pipeline.errors import StorageError, UsageError
from pipeline.graph import GRAPH_FILE, PARAMS_FILE, parse_graph
from pipeline.history import Record
from pipeline.lockfile import LOCK_FILE
from pipeline.params import Recipe, Settings, apply_overrides, parse_yaml, validate
from pipeline.preflight import champion_now, check_before
from pipeline.report import VERDICT
from pipeline.stepwise import INPUTS, sweep

_REQUEST_LIMIT_BYTES = 2**20


class Request(Settings):
    """What is asked of a run that is driven in steps. `overrides` are values by dotted key, as in the recipe.

    `as_of` (a date, `2026-11-22`) is used where the source can say what it held then, and told where it cannot.
    """

    id: str = Field(max_length=200)
    driver: history.Driver = "airflow"
    config: str = Field(default="", max_length=500)
    overrides: dict[str, Any] = Field(default_factory=dict)
    reason: str = Field(default="", max_length=2000)
    asked_by: str = Field(default="", max_length=200)
    is_forced: bool = False
    as_of: str | None = Field(default=None, pattern=r"^\d{4}-\d{2}-\d{2}$")


def read_request(path: Path) -> Request:
    """Read a request as JSON from a file, or from standard input for `-`; raise UsageError if it is not one."""
    where = "request" if str(path) == "-" else str(path)
    try:
        with sys.stdin.buffer if str(path) == "-" else path.open("rb") as stream:
            content = stream.read(_REQUEST_LIMIT_BYTES + 1)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > _REQUEST_LIMIT_BYTES:
        raise UsageError(f"{where}: larger than {_REQUEST_LIMIT_BYTES} bytes")
    try:
        values = json.loads(content)
    except ValueError as error:
        raise UsageError(f"{where}: not valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise UsageError(f'{where}: must be a JSON object, like {{"id": "try-1"}}')
    return validate(Request, values, where)


def open_run(root: Path, request: Request, environment: Mapping[str, str]) -> Record:
    """Make a run's worktree, unless an earlier run has answered the same question; return its record.

    Raises UsageError or StorageError, with nothing written, where the recipe, the source or the set-up is wrong.
    """
    history.check_id(request.id)
    place = workspace.place_of(root, request.id)
    if (place / PARAMS_FILE).is_file() and (place / GRAPH_FILE).is_file():
        return history.write(root, replace(history.read(root, request.id), state="running", end=None))
    workspace.remove(root, place)  # half made, by a process that was killed
    sweep(root, environment)

    config = load_config(root / request.config) if request.config else None
    overrides, note = _dated(root, recipe_values(root, config), request)
    values = apply_overrides(
        recipe_values(root, config), overrides, "--set" if request.driver == "ratchet" else "override"
    )
    where = " with ".join(filter(None, (PARAMS_FILE, request.config, "overrides" if overrides else "")))
    recipe = validate(Recipe, values, where)
    plain = recipe.model_dump(mode="json", exclude_unset=True)
    check_before(root, recipe, environment)

    graph = parse_graph(parse_yaml(root / GRAPH_FILE), plain)
    inputs = freshness.inputs_digest(root, graph, plain)
    champion = champion_now(root, recipe.name, environment)
    record = Record(
        request.id,
        request.driver,
        "running",
        history.now(),
        sentence=note,
        config=request.config,
        overrides=dict(overrides),
        reason=request.reason,
        asked_by=request.asked_by,
        is_forced=request.is_forced,
    )
    standing = None if request.is_forced else freshness.standing_run(root, inputs, champion)
    if standing and (root / history.RUNS / standing / VERDICT).is_file():
        return _unchanged(root, record, standing)
    history.write(root, record)
    place = workspace.make(root, request.id, plain)
    history.keep(root, place, request.id)
    is_still = freshness.inputs_digest(root, graph, plain) == inputs  # else what runs is not what was looked at
    lock = place / LOCK_FILE
    known = lockfile.stage_names(lock.read_text()) if lock.is_file() else []
    write_json(place / INPUTS, {"inputs": inputs if is_still else None, "known": known})
    return record


def _dated(root: Path, values: Mapping[str, Any], request: Request) -> tuple[dict[str, Any], str]:
    overrides = dict(request.overrides)
    if request.as_of is None or "ingest.as_of" in overrides:
        return overrides, ""
    from pipeline.data.sources.snapshots import dates

    path = str(overrides.get("data.path", values.get("data", {}).get("path", "")))
    if dates(root / path):
        return {**overrides, "ingest.as_of": request.as_of}, ""
    return overrides, f"{path} cannot say what it held on {request.as_of}: the data of today"


def _unchanged(root: Path, record: Record, standing: str) -> Record:
    verdict = read_json(root / history.RUNS / standing / VERDICT)
    sentence = f"nothing changed since run {standing}: {verdict['outcome']!s}, {verdict['reason']}"
    unchanged = replace(record, same_as=standing)
    history.write(root, unchanged)
    return history.finish(root, root / history.RUNS / standing, unchanged, "success", "unchanged", sentence)
