"""Whether anything has changed since the last complete run, found without DVC and in milliseconds.

After a complete run, a snapshot is taken of what the graph reads and writes: each file's path, size, modification time
and inode, by which DVC's own state database recognises files too, and the registry's champion. If a later snapshot is
the same, `dvc repro` would do nothing. If it differs at all, DVC decides.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.graph import GRAPH_FILE, LOCK_FILE, Graph, covers
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.records.digests import digest_json
from pipeline.storage.artifacts import digest_file, write_json

_SNAPSHOT = Path(".ratchet") / "complete.json"
_ANSWERS = Path(".ratchet") / "complete"
_DIGITS = 32


def remember(root: Path, graph: Graph, champion: Mapping[str, Any] | None) -> None:
    """Store the snapshot of a complete run."""
    write_json(root / _SNAPSHOT, {"files": _files_digest(root, graph), "champion": champion})


def forget(root: Path) -> None:
    """Delete the snapshot: a run has begun, and the next one must not rely on it."""
    (root / _SNAPSHOT).unlink(missing_ok=True)


def remembered_champion(root: Path, graph: Graph) -> tuple[bool, Mapping[str, Any] | None]:
    """Return whether the files are those of the last complete run, and the champion the registry had then."""
    try:
        snapshot = json.loads((root / _SNAPSHOT).read_bytes())
        files, champion = snapshot["files"], snapshot["champion"]
    except (OSError, ValueError, KeyError, TypeError):
        return False, None  # no snapshot, or an unreadable one: DVC decides
    return files == _files_digest(root, graph), champion


def inputs_digest(root: Path, graph: Graph, recipe: Mapping[str, Any]) -> str:
    """Return a digest of a run's inputs: its own recipe, the graph, and the files that no stage makes.

    `graph` is dvc.yaml resolved with that recipe. The files are those under `root`, from which its worktree is made.
    """
    made = [out for stage in graph.stages for out in stage.outs]
    read = {path for stage in graph.stages for path in (*stage.deps, *stage.param_files)}
    paths = {path for path in read if not any(covers(out, path) for out in made)}
    entries = [entry for path in sorted(paths) for entry in _entries(root / path, path)]
    return digest_json([dict(recipe), digest_file(root / GRAPH_FILE), entries])


def remember_run(root: Path, inputs: str, run_id: str, champion: Mapping[str, Any] | None) -> None:
    """Record that a complete run had these inputs, and the champion after it."""
    write_json(_answer(root, inputs), {"run": run_id, "champion": champion})


def run_with_same_inputs(root: Path, inputs: str, champion: Mapping[str, Any] | None) -> str | None:
    """Return the complete run that had these inputs, if the champion is still the one after it."""
    try:
        answer = json.loads(_answer(root, inputs).read_bytes())
        return str(answer["run"]) if answer["champion"] == champion else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no record, or an unreadable one: DVC decides


def _answer(root: Path, inputs: str) -> Path:
    return root / _ANSWERS / f"{inputs.rpartition(':')[2][:_DIGITS]}.json"


def _files_digest(root: Path, graph: Graph) -> str:
    # What every `dvc repro` rewrites, changed or not, is compared by content: it is small.
    rewritten = {GRAPH_FILE, PARAMS_FILE, LOCK_FILE}
    rewritten.update(out for stage in graph.stages if stage.is_always_changed for out in stage.outs)
    paths = {path for stage in graph.stages for path in (*stage.deps, *stage.param_files, *stage.outs)} - rewritten
    by_content = [entry for path in sorted(rewritten) for entry in _entries(root / path, path, by_content=True)]
    return digest_json(by_content + [entry for path in sorted(paths) for entry in _entries(root / path, path)])


def _entries(path: Path, name: str, *, by_content: bool = False) -> Iterator[list[Any]]:
    try:
        status = path.stat()
    except OSError:
        yield [name, "missing"]
        return
    if path.is_dir():
        with os.scandir(path) as entries:
            names = sorted(entry.name for entry in entries)
        for child in names:
            if child != "__pycache__":
                yield from _entries(path / child, f"{name}/{child}", by_content=by_content)
    elif by_content:
        yield [name, digest_file(path)]
    else:
        yield [name, status.st_size, status.st_mtime_ns, status.st_ino]
