"""Begins a run with a recipe of its own: checks the request, and makes a worktree if there is work to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import StorageError, UsageError
from pipeline.graph import GRAPH_FILE, LOCK_FILE, parse_graph
from pipeline.recipe.changing import as_written
from pipeline.recipe.configs import recipe_layers
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.recipe.resolving import checked
from pipeline.recipe.settings import validate
from pipeline.recipe.strict_yaml import parse_yaml
from pipeline.records.run import RUNS, RunRecord, RunRequest
from pipeline.records.verdict import Verdict
from pipeline.runs import dvc_lock, freshness, history, workspaces
from pipeline.runs.outcome import find_verdict
from pipeline.runs.preflight import champion_now, check_before
from pipeline.runs.steps import INPUTS
from pipeline.runs.sweeping import sweep
from pipeline.storage.artifacts import write_json

_REQUEST_LIMIT_BYTES = 2**20


def read_request(path: Path) -> RunRequest:
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
    return validate(RunRequest, values, where)


def open_run(root: Path, request: RunRequest, environment: Mapping[str, str]) -> RunRecord:
    """Make a run's worktree, unless an earlier run had the same inputs; return the run's record.

    Raises UsageError or StorageError, with nothing written, if the recipe, the source or the set-up is wrong.
    """
    history.check_id(request.id)
    workspace = workspaces.workspace_of(root, request.id)
    if (workspace / PARAMS_FILE).is_file() and (workspace / GRAPH_FILE).is_file():
        return history.write(root, history.read(root, request.id).changed(state="running", end=None))
    workspaces.remove(root, workspace)  # half made by a killed process
    sweep(root, environment)

    layers = recipe_layers(root, request.config)
    overrides, note = _dated(root, layers.values, request)
    layers = layers.overridden(overrides, "--set" if request.driver == "ratchet" else "override")
    recipe = checked(layers.values, layers.where)
    plain = as_written(layers.values, layers.written)
    graph = parse_graph(parse_yaml(root / GRAPH_FILE), plain)
    check_before(root, graph, recipe, environment)

    inputs = freshness.inputs_digest(root, graph, plain)
    champion = champion_now(root, recipe.name, environment)
    record = RunRecord(
        id=request.id,
        driver=request.driver,
        state="running",
        start=history.now(),
        sentence=note,
        config=request.config,
        overrides=dict(overrides),
        reason=request.reason,
        asked_by=request.asked_by,
        is_forced=request.is_forced,
    )
    earlier = None if request.is_forced else freshness.run_with_same_inputs(root, inputs, champion)
    if earlier and (verdict := find_verdict(root / RUNS / earlier, graph)):
        return _unchanged(root, record, earlier, verdict)
    history.write(root, record)
    workspace = workspaces.make(root, request.id, plain)
    history.keep(root, workspace, request.id)
    is_unchanged = freshness.inputs_digest(root, graph, plain) == inputs  # otherwise a file changed meanwhile
    lock = workspace / LOCK_FILE
    known = dvc_lock.stage_names(lock.read_text()) if lock.is_file() else []
    write_json(workspace / INPUTS, {"inputs": inputs if is_unchanged else None, "known": known})
    return record


def _dated(root: Path, values: Mapping[str, Any], request: RunRequest) -> tuple[dict[str, Any], str]:
    overrides = dict(request.overrides)
    if request.as_of is None or "ingest.as_of" in overrides:
        return overrides, ""
    from pipeline.data.snapshots import dates

    data = values.get("data")
    path = str(overrides.get("data.path", data.get("path", "") if isinstance(data, Mapping) else ""))
    if dates(root / path):
        return {**overrides, "ingest.as_of": request.as_of}, ""
    return overrides, f"{path} keeps no snapshots to say what it held on {request.as_of}: today's data are used"


def _unchanged(root: Path, record: RunRecord, earlier: str, verdict: Verdict) -> RunRecord:
    sentence = f"nothing changed since run {earlier}: {verdict.outcome}, {verdict.reason}"
    unchanged = record.changed(same_as=earlier)
    history.write(root, unchanged)
    return history.finish(root, root / RUNS / earlier, unchanged, "success", "unchanged", sentence)
