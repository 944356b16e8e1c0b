"""What stages of a finished run have made: in its workspace while that is there, else in DVC's cache, by its lock."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import StorageError
from pipeline.graph import LOCK_FILE
from pipeline.recipe.strict_yaml import parse_yaml
from pipeline.records.run import RunRecord
from pipeline.runs import workspaces
from pipeline.runs.dvc_cache import DvcCache, cache_of
from pipeline.storage.artifacts import read_json


def cached_files(root: Path, record: RunRecord, path: str) -> dict[str, Path]:
    """Return where DVC's cache has, or would have, each file of a folder that a run has made, by its path inside.

    Empty if the run's lock does not list the folder, or the cache has not the list of its files.
    """
    lock = root / record.folder / LOCK_FILE
    stages = (parse_yaml(lock).get("stages") or {}).values() if lock.is_file() else ()
    cache = cache_of(root)
    digests = [str(out.get("md5")) for stage in stages for out in stage.get("outs") or () if out.get("path") == path]
    return {name: cache.path(md5) for digest in digests for name, md5 in _listed(cache, digest).items()}


def _listed(cache: DvcCache, digest: str) -> dict[str, str]:
    path = cache.path(digest)
    if not digest.endswith(".dir") or not path.is_file():
        return {}
    return {str(entry["relpath"]): str(entry["md5"]) for entry in read_json(path, limit_bytes=2**31)}


@contextmanager
def folder_of_run(root: Path, record: RunRecord, path: str) -> Iterator[Path]:
    """Yield a folder that a run has made, to be read; raise StorageError if it is not here, or not whole."""
    there = workspaces.workspace_of(root, record.id) / path
    if there.is_dir():
        yield there
        return
    files = cached_files(root, record, path)
    if not files or not all(file.is_file() for file in files.values()):
        raise StorageError(
            f"run {record.id}: its {path} is not in DVC's cache; `ratchet runs pull {record.id}` may bring it from a "
            f"remote, `ratchet runs repeat {record.id}` makes the run again"
        )
    with tempfile.TemporaryDirectory(prefix="ratchet-") as temporary:
        for name, file in files.items():
            link = Path(temporary, name)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file.resolve())
        yield Path(temporary)
