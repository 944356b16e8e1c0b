"""What the photograph has hashed of the sources: told to DVC, which would else read them a second time, and kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.runs.hashes import identity_of
from pipeline.storage.artifacts import read_json

_FILE = Path(".ratchet") / "known_hashes.json"
_TOLD = Path(".ratchet") / "known_hashes.told"


def note(workspace: Path, known: Mapping[str, list[Any]]) -> None:
    """Note the digests of a workspace's sources: by path, the file's status and its MD5."""
    import json

    from pipeline.storage.artifacts import write_file

    if known:
        write_file(workspace / _FILE, json.dumps(dict(known)).encode())


def tell(repo: Any) -> None:
    """Tell DVC what was noted, once; of a file that has changed since, nothing."""
    workspace = Path(repo.root_dir)
    path = workspace / _FILE
    if not path.is_file() or (workspace / _TOLD).exists():
        return
    from dvc_data.hashfile.hash_info import HashInfo

    items = []
    for name, (*identity, digest) in noted(workspace).items():
        file = repo.fs.abspath(repo.fs.join(repo.root_dir, name))
        if _identity(file) == identity:
            items.append((file, HashInfo("md5", digest), None))
    repo.state.save_many(items, repo.fs)
    (workspace / _TOLD).touch()


def noted(workspace: Path) -> dict[str, list[Any]]:
    """Return what was noted for a workspace; nothing in a project's own folder."""
    path = workspace / _FILE
    return dict(read_json(path, limit_bytes=2**31)) if path.is_file() else {}


def _identity(file: str) -> list[int] | None:
    try:
        status = Path(file).stat()
    except OSError:
        return None
    return identity_of(status)
