"""What DVC leaves half-written when it is killed, and what it takes a half for: repaired in the process that runs it.

DVC is pinned; tests hold that what is replaced here is still what DVC calls, and that the faults are still there.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ENTRY = re.compile(r"[0-9a-f]{64}")


def apply() -> None:
    """Repair DVC in this process."""
    from dvc.stage.cache import StageCache
    from dvc.utils.serialize import _common

    _common._dump_data = _dump_aside  # noqa: SLF001
    StageCache._load = _load_whole_entry  # noqa: SLF001


def _dump_aside(path: str, data: Any, dumper: Callable[..., None], fs: object = None, **arguments: Any) -> None:  # noqa: ARG001
    """Write a YAML file as DVC does, but atomically.

    DVC truncates the file first: if it is killed before it has written, or the disk is full, it leaves an empty
    dvc.lock, and every later run fails.
    """
    from pipeline.storage.artifacts import write_file

    text = io.StringIO()
    dumper(data, text, **arguments)
    write_file(Path(path), text.getvalue().encode())


def _load_whole_entry(cache: Any, stage: Any) -> Any:
    """Return the newest entry of the run cache for a stage, as DVC does, but only one that is whole.

    DVC takes any file in the entry's folder. Killed, or not done yet, between making the folder and filling it, it
    leaves one that is empty, on which every later run of that stage fails, or a file under a temporary name.
    """
    from dvc.stage.cache import _get_stage_hash

    key = _get_stage_hash(stage)
    if not key:
        return None
    try:
        with os.scandir(cache._get_cache_dir(key)) as entries:  # noqa: SLF001
            found = [(entry.stat().st_mtime_ns, entry.name) for entry in entries if _ENTRY.fullmatch(entry.name)]
    except FileNotFoundError:
        return None
    return cache._load_cache(key, max(found)[1]) if found else None  # noqa: SLF001
