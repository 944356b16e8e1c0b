"""Small projects, their photographs, and open runs in them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.graph import Graph, load_graph
from pipeline.records.origin import Origin
from pipeline.records.run import RunRecord
from pipeline.runs import history, workspaces
from pipeline.runs.dvc_cache import cache_of
from pipeline.runs.hashes import Hashes
from pipeline.runs.photograph import Taken, take
from pipeline.runs.photograph_store import PhotographStore

LONG_AGO_S = 1_000_000_000


def write_files(root: Path, files: Mapping[str, str]) -> None:
    """Write files by their paths under a folder."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def rewrite_in_place(path: Path, content: bytes, *, keeps_mtime: bool = False) -> None:
    """Write a file again where it is: the inode stays, and the time of modification too if asked; the size may not."""
    before = path.stat()
    with path.open("r+b") as stream:
        stream.write(content)
        stream.truncate()
    mtime_ns = before.st_mtime_ns if keeps_mtime else before.st_mtime_ns + 1_000_000_000
    os.utime(path, ns=(before.st_atime_ns, mtime_ns))


def record(run_id: str = "r1", **changes: Any) -> RunRecord:
    """The record of a run that goes on."""
    return RunRecord(id=run_id, driver="airflow", state="running", start="2026-11-22T10:00:00+00:00").changed(**changes)


def recipe_of(root: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((root / "params.yaml").read_text()))


def photographed(root: Path, graph: Graph | None = None, source: str = "source") -> Taken:
    """Photograph a project as it stands."""
    return take(root, graph or load_graph(root), source, Hashes(root))


def inputs_of_project(root: Path) -> str:
    """Return what of a project decides the result."""
    return photographed(root).photograph.inputs(load_graph(root), recipe_of(root))


def opened(root: Path, run_id: str = "r1", **changes: Any) -> Path:
    """Make an open run by hand, as `open_run` leaves it, and return its workspace."""
    taken, store = photographed(root), PhotographStore(cache_of(root))
    store.keep(taken.photograph, root, {})
    begun = record(run_id, **{"start": history.now(), "photograph": taken.photograph.digest, **changes})
    history.write(root, begun)
    origin = Origin(home=".", run=run_id, photograph=begun.photograph)
    workspace = workspaces.make(root, run_id, store, taken.photograph, origin, known=taken.known)
    history.keep(root, workspace, begun)
    return workspace


def age(folder: Path) -> None:
    """Make a folder old enough to be swept."""
    os.utime(folder, (LONG_AGO_S, LONG_AGO_S), follow_symlinks=False)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder, by its path in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
