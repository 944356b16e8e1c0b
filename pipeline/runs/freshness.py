"""Whether anything has changed since the last complete run, found without DVC and in milliseconds.

After a complete run in place, a picture is kept of what the graph reads and writes: each file's path, size,
modification time and inode, by which DVC's own state database recognises files too. It is kept only if DVC, asked after
the picture was taken, found nothing to do, and nothing has changed since: so a file edited while the run was going on
is not taken for what the run began with. Of a run in a workspace, the digest of the inputs that it began with is kept.

In both, what stands outside the project's files is looked at each time: whether the registry still is as the verdict
met it, and whether DVC's cache still holds what the lock lists. If anything differs at all, DVC decides.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, RatchetError, StorageError
from pipeline.graph import GRAPH_FILE, LOCK_FILE, Graph
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.recipe.strict_yaml import parse_yaml
from pipeline.records.digests import digest_json
from pipeline.records.run import RunRecord
from pipeline.runs import history
from pipeline.runs.dvc_cache import DvcCache
from pipeline.runs.outcome import find_registration, find_verdict
from pipeline.runs.photograph import CACHES, IGNORE_FILE
from pipeline.storage.artifacts import digest_file, read_json, write_json

CLEAN = Path(".ratchet") / "clean.json"  # what DVC's process found clean after the run
_COMPLETE = Path(".ratchet") / "complete.json"
_ANSWERS = Path(".ratchet") / "complete"
_DIGITS = 32
_EMPTY = "d41d8cd98f00b204e9800998ecf8427e"  # the MD5 of nothing


def picture_of(root: Path, graph: Graph) -> str:
    """Return a digest of the state of all files that the graph reads and writes."""
    # What every `dvc repro` rewrites, changed or not, is compared by content: it is small.
    rewritten = {GRAPH_FILE, PARAMS_FILE, LOCK_FILE, IGNORE_FILE}
    rewritten.update(out for stage in graph.stages if stage.is_always_changed for out in stage.outs)
    paths = {path for stage in graph.stages for path in (*stage.deps, *stage.param_files, *stage.outs)} - rewritten
    by_content = [entry for path in sorted(rewritten) for entry in entries_of(root / path, path, by_content=True)]
    return digest_json(by_content + [entry for path in sorted(paths) for entry in entries_of(root / path, path)])


def remember(root: Path, graph: Graph) -> None:
    """Keep the picture of a complete run in place, if it was clean and is still true."""
    try:
        clean = read_json(root / CLEAN)
    except (DataError, StorageError):
        return
    if clean is not None and clean == picture_of(root, graph):
        write_json(root / _COMPLETE, {"files": clean})


def forget(root: Path) -> None:
    """Delete the picture: a run has begun, and the next one must not rely on it."""
    for path in (_COMPLETE, CLEAN):
        (root / path).unlink(missing_ok=True)


def is_as_remembered(root: Path, graph: Graph) -> bool:
    """Return whether the files are those of the last complete run in place."""
    try:
        return bool(read_json(root / _COMPLETE)["files"] == picture_of(root, graph))
    except (DataError, StorageError, KeyError, TypeError):
        return False  # no picture, or an unreadable one: DVC decides


def remember_run(root: Path, inputs: str, run_id: str) -> None:
    """Record that a complete run in a workspace began with these inputs."""
    write_json(_answer(root, inputs), {"run": run_id})


def run_with_same_inputs(root: Path, inputs: str) -> RunRecord | None:
    """Return the record of the complete run that began with these inputs and whose evidence is still there."""
    try:
        record = history.read(root, str(json.loads(_answer(root, inputs).read_bytes())["run"]))
    except (OSError, ValueError, KeyError, TypeError, RatchetError):
        return None  # no answer, an unreadable one, or of a run that was deleted: DVC decides
    return record if record.state == "success" and record.inputs == inputs else None


def is_still(root: Path, folder: Path, graph: Graph, name: str, environment: Mapping[str, str]) -> bool:
    """Return whether what a complete run found outside of its files would be found again: in registry and cache.

    `folder` holds the run's verdict and lock. A stage that DVC always runs, and of which nothing says what it looks at,
    would always find something new.
    """
    from pipeline.runs.dvc_cache import cache_of

    known = (graph.maker("champion"), graph.maker("registration"))
    outside = [stage for stage in graph.stages if stage.is_always_changed]
    if any(stage not in known for stage in outside):
        return False
    if outside and not _does_the_verdict_stand(root, folder, graph, name, environment):
        return False
    return is_cached(folder / LOCK_FILE, graph, cache_of(root))


def _does_the_verdict_stand(root: Path, folder: Path, graph: Graph, name: str, environment: Mapping[str, str]) -> bool:
    from pipeline.recipe.execution import load_execution
    from pipeline.registry.standing import stands
    from pipeline.registry.store import resolve_store

    verdict, told = find_verdict(folder, graph), find_registration(folder, graph)
    if verdict is None or told is None:
        return False
    store = resolve_store(root, load_execution(root, environment).mlflow)
    return bool(stands(store, name, verdict, told))


def is_cached(lock: Path, graph: Graph, cache: DvcCache) -> bool:
    """Return whether DVC's cache holds everything that a lock lists as made by the graph's stages."""
    try:
        return all(_is_there(cache.path(digest)) for digest in cached_objects(lock, graph, cache))
    except RatchetError:
        return False


def _is_there(path: Path) -> bool:
    """Return whether an object is there and not cut off: one without a byte is whole only if its name says so."""
    try:
        return path.stat().st_size > 0 or path.parent.name + path.name == _EMPTY
    except OSError:
        return False


def cached_objects(lock: Path, graph: Graph, cache: DvcCache) -> Iterator[str]:
    """Yield the digests of the objects that a lock lists as the stages' outputs, folders' contents included.

    Raises StorageError if the list of a folder's contents is not in the cache, DataError if that is damaged, UsageError
    if the lock is unreadable.
    """
    uncached = {path for stage in graph.stages for path in stage.uncached}
    listed = parse_yaml(lock).get("stages") or {}
    for stage in graph.stages:  # DVC leaves those that are no longer in the graph in the lock
        for out in (listed.get(stage.name) or {}).get("outs") or ():
            digest = out.get("md5")
            if digest is None or out.get("path") in uncached:
                continue
            yield digest
            if digest.endswith(".dir"):
                yield from _in_folder(cache.path(digest))


def _in_folder(path: Path) -> list[str]:
    try:
        return [str(entry["md5"]) for entry in read_json(path, limit_bytes=2**31)]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: not a list of a folder's contents, as DVC writes it") from error


def _answer(root: Path, inputs: str) -> Path:
    return root / _ANSWERS / f"{inputs.rpartition(':')[2][:_DIGITS]}.json"


def entries_of(path: Path, name: str, *, by_content: bool = False) -> Iterator[list[Any]]:
    """Yield the state of each file at or below a path: by its content, or by what DVC's state database goes by."""
    try:
        status = path.stat()
    except OSError:
        yield [name, "missing"]
        return
    if path.is_dir():
        with os.scandir(path) as entries:
            names = sorted(entry.name for entry in entries)
        for child in names:
            if child not in CACHES:
                yield from entries_of(path / child, f"{name}/{child}", by_content=by_content)
    elif by_content:
        yield [name, digest_file(path)]
    else:
        yield [name, status.st_size, status.st_mtime_ns, status.st_ino]
