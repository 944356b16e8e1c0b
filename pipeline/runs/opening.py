"""Begins a run: checks what is requested, photographs the project, and makes a workspace if there is work to do.

A run that has a record already is opened again from its own photograph, whatever the user's files have become since.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, RatchetError, StorageError, TryAgain, UsageError
from pipeline.graph import GRAPH_FILE, LOCK_FILE, Graph, parse_graph
from pipeline.launching.devices import resolved
from pipeline.recipe.changing import as_written
from pipeline.recipe.configs import recipe_layers
from pipeline.recipe.recipe import PARAMS_FILE, Recipe
from pipeline.recipe.resolving import checked
from pipeline.recipe.settings import validate
from pipeline.recipe.strict_yaml import dump_yaml, parse_yaml, parse_yaml_text
from pipeline.records.origin import Origin
from pipeline.records.run import RunRecord, RunRequest
from pipeline.records.verdict import Verdict
from pipeline.runs import dvc_lock, freshness, history, restoring, workspaces
from pipeline.runs.dvc_cache import cache_of
from pipeline.runs.hashes import Hashes, md5_of_bytes
from pipeline.runs.locks import maker_lock
from pipeline.runs.mirroring import bring_and_say
from pipeline.runs.outcome import find_verdict
from pipeline.runs.photograph import Taken, take
from pipeline.runs.photograph_store import PhotographStore
from pipeline.runs.preflight import check_before
from pipeline.runs.sweeping import sweep
from pipeline.runtime.git import Commit, commit_of, paths_of_run
from pipeline.runtime.progress import Throttle

_REQUEST_LIMIT_BYTES = 2**20
_QUIET_S = 2.0


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
    except RecursionError as error:
        raise UsageError(f"{where}: nested too deeply") from error
    if not isinstance(values, dict):
        raise UsageError(f'{where}: must be a JSON object, like {{"id": "try-1"}}')
    return validate(RunRequest, values, where)


@dataclass(frozen=True)
class Prepared:
    """What a run would begin with: its recipe, also as plain values and as its `params.yaml`, and its photograph."""

    request: RunRequest
    recipe: Recipe
    plain: Mapping[str, Any]
    params: bytes
    graph: Graph
    overrides: Mapping[str, Any]
    note: str
    taken: Taken
    inputs: str
    commit: Commit | None


def open_run(root: Path, request: RunRequest, environment: Mapping[str, str], *, is_anew: bool = False) -> RunRecord:
    """Begin a run, or go on with one that has begun; return its record.

    If an earlier run began with the same inputs, the record says so and there is no workspace. `is_anew`: what began
    under this id was deleted where it was driven; its evidence stays, and the run begins as a new one does. Raises
    UsageError or StorageError, with nothing written, if the recipe, the source or the set-up is wrong.
    """
    history.check_id(request.id)
    record = history.find(root, request.id)
    if record and not is_anew:
        _require_same(record, request)
        if record.photograph is not None and record.same_as is None:
            return restoring.open_again(root, record, environment)
    bring_and_say(root, request.config, request.overrides, to=sys.stderr)
    prepared = prepare(root, request, environment)
    if record and is_anew:
        _leave_behind(root, record)
    return begin(root, prepared, environment)


def prepare(root: Path, request: RunRequest, environment: Mapping[str, str], *, is_in_place: bool = False) -> Prepared:
    """Check what is requested, and photograph the project; of it, only the digests taken are written so far.

    In place the recipe is `params.yaml` as it stands; else the run has a `params.yaml` of its own, and in it the device
    that `auto` stands for here and now.
    """
    layers = recipe_layers(root, request.config)
    overrides, note = _dated(root, layers.values, request)
    layers = layers.overridden(overrides, "--set" if request.driver == "ratchet" else "override")
    recipe = checked(layers.values, layers.where)
    if recipe.train.device == "auto":
        if is_in_place:
            raise TryAgain(f"{PARAMS_FILE}: train.device has become auto while the run began; run again")
        device, why = resolved("auto", environment)
        note = "; ".join(filter(None, (note, f"train.device: auto is {device} here ({why})")))
        print(f"train.device: auto is {device} here ({why})", file=sys.stderr, flush=True)  # noqa: T201
        layers = layers.overridden({"train.device": device}, "train.device: auto")
        recipe = checked(layers.values, layers.where)
    plain = as_written(layers.values, layers.written)
    graph = parse_graph(parse_yaml(root / GRAPH_FILE), plain)
    if request.until is not None:
        graph[request.until]  # raises with the nearest name
    noticed = check_before(root, graph, recipe, environment)
    note = "; ".join(filter(None, (note, noticed)))
    params = dump_yaml(plain)
    if parse_yaml_text(params, PARAMS_FILE) != plain:
        raise UsageError("a value of the recipe has no form in YAML that would be read back as it is")
    taken = take(root, graph, recipe.data.path, _hashes(root), None if is_in_place else params)
    commit = _commit(root, paths_of_run(graph, recipe.data.path), is_changed=plain != dict(layers.written))
    return Prepared(
        request, recipe, plain, params, graph, overrides, note, taken, taken.photograph.inputs(graph, plain), commit
    )


def begin(root: Path, prepared: Prepared, environment: Mapping[str, str], *, pid: int | None = None) -> RunRecord:
    """Write the run's record and make its workspace, unless an earlier run began with the same inputs.

    A run that was refused, or found nothing to do, gets another attempt. `pid` is the one process that drives the run,
    if one does.
    """
    request = prepared.request
    record = record_of(prepared).changed(pid=pid)
    if earlier := _same_before(root, prepared, environment):
        # The earlier run's photograph was kept; of this one nothing is.
        return _unchanged(root, _numbered(root, record.changed(photograph=earlier[0].photograph)), *earlier)
    sweep(root, environment)
    store = keep_photograph(root, prepared)
    with maker_lock(root):
        before = history.find(root, request.id)
        if before and before.state == "running" and before.photograph is not None:
            return before  # another try to open the same run came first
        record = history.write(root, _numbered(root, record))
        workspace = workspaces.make(
            root,
            record.id,
            store,
            prepared.taken.photograph,
            Origin.of(record),
            known=prepared.taken.known,
            extra=dvc_lock.known(_known_stages(root)),
        )
    history.keep(root, workspace, record)
    return record


def keep_photograph(root: Path, prepared: Prepared) -> PhotographStore:
    """Keep the photograph of a run beside DVC's cache; return where."""
    store = PhotographStore(cache_of(root))
    files = prepared.taken.photograph.files
    own = {} if files[PARAMS_FILE] != md5_of_bytes(prepared.params) else {PARAMS_FILE: prepared.params}
    store.keep(prepared.taken.photograph, root, own)
    return store


def is_still_so(root: Path, record: RunRecord) -> bool:
    """Return whether a project's files are still what the record of a run in place says that it began with."""
    try:
        layers = recipe_layers(root, "")
        plain = as_written(layers.values, layers.written)
        graph = parse_graph(parse_yaml(root / GRAPH_FILE), plain)
        taken = take(root, graph, str(plain["data"]["path"]), Hashes(root))
    except (RatchetError, KeyError, TypeError):
        return False  # what it was could be read
    return taken.photograph.inputs(graph, plain) == record.inputs


def record_of(prepared: Prepared) -> RunRecord:
    """Return the record of a run that begins now."""
    request, commit = prepared.request, prepared.commit
    return RunRecord(
        id=request.id,
        driver=request.driver,
        state="running",
        start=history.now(),
        sentence=prepared.note,
        config=request.config,
        overrides=dict(prepared.overrides),
        reason=request.reason,
        asked_by=request.asked_by,
        is_forced=request.is_forced,
        photograph=prepared.taken.photograph.digest,
        inputs=prepared.inputs,
        commit=commit.digest if commit else None,
        is_dirty=commit.is_dirty if commit else None,
        until=request.until,
        device="gpu" if prepared.recipe.train.device == "gpu" else "cpu",
        dag_id=request.dag_id,
        dag_run_id=request.dag_run_id,
        address=request.address,
    )


def _leave_behind(root: Path, record: RunRecord) -> None:
    """End an attempt that nobody goes on with, if it is open, and remove its workspace."""
    workspace = workspaces.workspace_of(root, record.id)
    if record.state == "running":
        history.finish(root, workspace, record, "failed", sentence="deleted, and begun anew under the same name")
    workspaces.remove(root, record.id)


def _require_same(record: RunRecord, request: RunRequest) -> None:
    if request.dag_run_id:
        return  # Airflow names each of its runs once; what the form says of it may read differently by now
    asked = {**request.overrides, **{key: record.overrides[key] for key in record.overrides if key == "ingest.as_of"}}
    if (record.config, dict(record.overrides), record.until) != (request.config, asked, request.until):
        raise UsageError(
            f"run id '{request.id}' is taken by a run with another recipe or end; choose another id, or ask the same"
        )


def _numbered(root: Path, record: RunRecord) -> RunRecord:
    before = history.find(root, record.id)
    return record.changed(attempt=before.attempt + 1) if before else record


def _hashes(root: Path) -> Hashes:
    throttle, read = Throttle(_QUIET_S), [0]
    throttle.is_due()  # what takes less is not spoken of

    def announce(size_bytes: int) -> None:
        read[0] += size_bytes
        if throttle.is_due():
            print(f"photograph: {read[0] / 1e9:.1f} GB of files read for the first time", flush=True)  # noqa: T201

    return Hashes(root, announce)


def _commit(root: Path, paths: Sequence[str], *, is_changed: bool) -> Commit | None:
    """Return the commit, where git knows one; its files differ too if the run has another recipe than `params.yaml`."""
    try:
        commit = commit_of(root, paths)
    except RatchetError:
        return None  # no git, or no repository: the lineage names no commit
    return Commit(commit.digest, True) if is_changed else commit


def _known_stages(root: Path) -> list[str]:
    """Return the stages in the user's own lock, in its order; none if it cannot be read."""
    try:
        return dvc_lock.stage_names((root / LOCK_FILE).read_text())
    except (OSError, ValueError):
        return []


def _same_before(root: Path, prepared: Prepared, environment: Mapping[str, str]) -> tuple[RunRecord, Verdict] | None:
    if prepared.request.is_forced or prepared.request.until is not None:
        return None
    earlier = freshness.run_with_same_inputs(root, prepared.inputs)
    if earlier is None:
        return None
    folder, graph = root / earlier.folder, prepared.graph
    try:
        verdict = find_verdict(folder, graph)
    except DataError:
        return None  # its evidence is damaged: DVC decides
    is_still = verdict is not None and freshness.is_still(root, folder, graph, prepared.recipe.name, environment)
    return (earlier, verdict) if is_still and verdict else None


def _dated(root: Path, values: Mapping[str, Any], request: RunRequest) -> tuple[dict[str, Any], str]:
    overrides = dict(request.overrides)
    if request.as_of is None or "ingest.as_of" in overrides:
        return overrides, ""
    from pipeline.data.snapshots import dates

    def asked(group: str, key: str, default: Any) -> Any:
        found = values.get(group)
        return overrides.get(f"{group}.{key}", found.get(key, default) if isinstance(found, Mapping) else default)

    path = str(asked("data", "path", ""))
    if asked("ingest", "snapshots", True) and dates(root / path):
        return {**overrides, "ingest.as_of": request.as_of}, ""
    return overrides, f"{path} keeps no snapshots to say what it held on {request.as_of}: today's data are used"


def _unchanged(root: Path, record: RunRecord, earlier: RunRecord, verdict: Verdict) -> RunRecord:
    sentence = f"nothing changed since run {earlier.id}: {verdict.outcome}, {verdict.reason}"
    unchanged = record.changed(same_as=earlier.id)
    history.write(root, unchanged)
    return history.finish(root, root / earlier.folder, unchanged, "success", "unchanged", sentence)
