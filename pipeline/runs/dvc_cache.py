"""Where DVC keeps its cache for a project, asked of DVC: its configuration has four levels and rules of its own.

DVC's answer is remembered together with the state of the files and variables that it came from, because asking means
importing DVC.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, StorageError, UsageError
from pipeline.runs.hashes import identity_of
from pipeline.storage.artifacts import read_json, write_json

_ANSWER = Path(".ratchet") / "dvc_cache.json"
_VARIABLES = ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR")


@dataclass(frozen=True)
class DvcCache:
    """The folder of the cache, and whether DVC is told to share it with the group (`cache.shared`)."""

    folder: Path
    is_shared: bool = False

    def path(self, md5: str) -> Path:
        """Return where an object is, or would be."""
        return self.folder / "files" / "md5" / md5[:2] / md5[2:]


def cache_of(root: Path) -> DvcCache:
    """Return a project's DVC cache. Raises UsageError if DVC's configuration is wrong."""
    variables = {name: os.environ.get(name) for name in _VARIABLES}
    try:
        known = read_json(root / _ANSWER)
        same = {"root": str(root), "variables": variables, "files": _status(known["files"])}
        if all(known[key] == value for key, value in same.items()):
            return DvcCache(Path(known["folder"]), bool(known["is_shared"]))
    except (DataError, StorageError, KeyError, TypeError, ValueError):
        pass  # not asked yet, or unreadable: ask
    from dvc.config import Config, ConfigError

    try:
        config = Config(str(root / ".dvc"))
    except ConfigError as error:
        raise UsageError(f"DVC's configuration: {error}; `dvc config --list --show-origin` shows it") from error
    cache = DvcCache(Path(config["cache"].get("dir") or root / ".dvc" / "cache"), bool(config["cache"].get("shared")))
    answer = {
        "root": str(root),
        "variables": variables,
        "files": _status(config.files.values()),
        "folder": str(cache.folder),
        "is_shared": cache.is_shared,
    }
    with suppress(StorageError):  # a folder that is only read is asked again next time
        write_json(root / _ANSWER, answer)
    return cache


def _status(paths: Any) -> dict[str, list[int] | None]:
    return {path: _of(path) for path in paths}


def _of(path: str) -> list[int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return identity_of(status)
