"""Whether anything has changed since the last complete run, told without DVC and in milliseconds.

After a complete run, what the graph reads and writes is photographed: each file's path, size, modification time and
inode, the way DVC's own state database recognises files, together with the registry's champion. The same picture later
means that `dvc repro` would do nothing. Any difference at all, and DVC decides.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.artifacts import digest_file, digest_json, write_json
from pipeline.graph import GRAPH_FILE, PARAMS_FILE, Graph

LOCK_FILE = "dvc.lock"
_PICTURE = Path(".ratchet") / "complete.json"


def remember(root: Path, graph: Graph, champion: Mapping[str, Any] | None) -> None:
    """Keep the picture of a complete run."""
    write_json(root / _PICTURE, {"files": _files_digest(root, graph), "champion": champion})


def forget(root: Path) -> None:
    """Drop the picture: a run has begun and the next one must look for itself."""
    (root / _PICTURE).unlink(missing_ok=True)


def remembered_champion(root: Path, graph: Graph) -> tuple[bool, Mapping[str, Any] | None]:
    """Return whether the files are those of the last complete run, and the champion the registry had then."""
    try:
        picture = json.loads((root / _PICTURE).read_bytes())
        files, champion = picture["files"], picture["champion"]
    except (OSError, ValueError, KeyError, TypeError):
        return False, None  # no picture, or none that can be read: DVC decides
    return files == _files_digest(root, graph), champion


def _files_digest(root: Path, graph: Graph) -> str:
    # What every `dvc repro` writes anew, whether or not it has changed, goes by its content: it is small.
    rewritten = {GRAPH_FILE, PARAMS_FILE, LOCK_FILE}
    rewritten.update(out for stage in graph.stages if stage.is_always_changed for out in stage.outs)
    paths = {path for stage in graph.stages for path in (*stage.deps, *stage.outs)} - rewritten
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
