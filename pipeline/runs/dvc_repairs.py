"""What DVC leaves half-written when it is killed, and what it takes a half for: repaired in the process that runs it.

DVC is pinned; tests hold that what is replaced here is still what DVC calls, and that the faults are still there.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_ENTRY = re.compile(r"[0-9a-f]{64}")


def apply() -> None:
    """Repair DVC in this process."""
    from dvc.stage.cache import StageCache
    from dvc.utils.serialize import _common

    _common._dump_data = _dump_aside  # noqa: SLF001
    StageCache._load = _load_whole_entry  # noqa: SLF001
    _pass_over_names_that_are_not_utf8()


def _dump_aside(path: str, data: Any, dumper: Callable[..., None], fs: object = None, **arguments: Any) -> None:  # noqa: ARG001
    """Write a YAML file as DVC does, but atomically.

    DVC truncates the file first: if it is killed before it has written, or the disk is full, it leaves an empty
    dvc.lock, and every later run fails.
    """
    from pipeline.storage.artifacts import write_file

    text = io.StringIO()
    dumper(data, text, **arguments)
    write_file(Path(path), text.getvalue().encode())


def _pass_over_names_that_are_not_utf8() -> None:
    """Let DVC hash files whose names are not UTF-8: its state database cannot hold them, so they are hashed anew."""
    from dvc_data.hashfile import state as module

    State: Any = module.State  # noqa: N806 - a class, of which the types are not ours to keep
    save, save_many, get, get_many = State.save, State.save_many, State.get, State.get_many

    def save_if_possible(state: Any, path: str, *arguments: Any, **named: Any) -> None:
        if _is_utf8(path):
            save(state, path, *arguments, **named)

    def save_those_possible(state: Any, items: Any, fs: Any) -> None:
        save_many(state, (item for item in items if _is_utf8(item[0])), fs)

    def get_if_possible(state: Any, path: str, *arguments: Any, **named: Any) -> Any:
        return get(state, path, *arguments, **named) if _is_utf8(path) else (None, None)

    def get_those_possible(state: Any, items: Any, *arguments: Any, **named: Any) -> Iterator[Any]:
        paths = list(items)
        yield from ((path, None, None) for path in paths if not _is_utf8(path))
        yield from get_many(state, [path for path in paths if _is_utf8(path)], *arguments, **named)

    State.save, State.save_many, State.get, State.get_many = (
        save_if_possible, save_those_possible, get_if_possible, get_those_possible
    )  # fmt: skip


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


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
