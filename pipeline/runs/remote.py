"""Takes a run to DVC's remote and brings it from there: its photograph, and the outputs that its lock lists.

Another copy of the project that shares the remote, and has the run's folder (`runs/<id>`), can then repeat the run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import StorageError, UsageError
from pipeline.graph import LOCK_FILE
from pipeline.recipe.execution import EXECUTION_FILE, Execution
from pipeline.recipe.settings import flatten, validate
from pipeline.recipe.strict_yaml import parse_yaml, parse_yaml_text
from pipeline.records.run import RunRecord
from pipeline.runs import history
from pipeline.runs.dvc_cache import cache_of
from pipeline.runs.photograph_store import PhotographStore

_SECRET = re.compile(r"pass|secret|token|key|credential|auth|\bsas\b|signature", re.IGNORECASE)
_ADDRESS = re.compile(r"://[^/\s@]*@")  # a user, and perhaps a password, before the host


@dataclass(frozen=True)
class Moved:
    """How many objects were moved; the others were there already."""

    objects: int
    remote: str


def push(root: Path, record: RunRecord, remote: str | None = None) -> Moved:
    """Take a run's photograph and outputs to a remote (DVC's default one). Raises UsageError, StorageError."""
    store, digest = PhotographStore(cache_of(root)), _photograph_of(record)
    _refuse_secrets(store.content(store.read(digest), EXECUTION_FILE))
    with _clouds(root, store, remote, "push") as (cache, photographs, far, name):
        moved = _transfer(photographs, far, {digest}) + _transfer(cache, far, _outputs(root, record))
    return Moved(moved, name)


def pull(root: Path, record: RunRecord, remote: str | None = None) -> Moved:
    """Bring a run's photograph and outputs from a remote. Raises UsageError, StorageError."""
    store, digest = PhotographStore(cache_of(root)), _photograph_of(record)
    with _clouds(root, store, remote, "pull") as (cache, photographs, far, name):
        moved = _transfer(far, photographs, {digest}) + _transfer(far, cache, _outputs(root, record))
    store.read(digest)
    return Moved(moved, name)


def is_here(root: Path, record: RunRecord) -> bool:
    """Return whether a run's photograph and all of its outputs are in this project's own cache."""
    cache = cache_of(root)
    store = PhotographStore(cache)
    if not store.has(_photograph_of(record)):
        return False
    return all(cache.path(digest).is_file() for digest in _outputs(root, record))


def _photograph_of(record: RunRecord) -> str:
    if record.photograph is None:
        raise UsageError(f"run {record.id} has no photograph: it was refused, or is of an earlier Ratchet")
    return record.photograph


def _outputs(root: Path, record: RunRecord) -> set[str]:
    """Return the digests of all outputs in the run's lock; DVC's own lists say what is in a folder."""
    lock = next(
        (
            path
            for attempt in reversed(history.attempts_of(root, record.id))
            if (path := root / attempt.folder / LOCK_FILE).is_file()
        ),
        None,
    )
    stages = (parse_yaml(lock).get("stages") or {}).values() if lock else ()
    return {out["md5"] for stage in stages for out in stage.get("outs") or () if "md5" in out}


def _refuse_secrets(execution: bytes) -> None:
    values = validate(Execution, parse_yaml_text(execution, EXECUTION_FILE), EXECUTION_FILE)
    for key, value in flatten(values.model_dump(mode="json")).items():
        in_address = isinstance(value, str) and (_ADDRESS.search(value) or _SECRET.search(value.partition("?")[2]))
        if in_address or (key.startswith("spark.settings.") and _SECRET.search(key)):
            raise UsageError(
                f"{EXECUTION_FILE}: {key} holds a secret, or may, and the photograph would take it to the remote; "
                "set it in the environment instead (RATCHET_…), and push a run begun after that"
            )


@contextmanager
def _clouds(root: Path, store: PhotographStore, remote: str | None, what: str) -> Iterator[tuple[Any, Any, Any, str]]:
    """Yield DVC's cache, the photographs, and the remote as DVC's object stores, and the remote's name."""
    from dvc.config import ConfigError
    from dvc.exceptions import DvcException
    from dvc.fs import localfs
    from dvc.repo import Repo
    from dvc_data.hashfile.db.local import LocalHashFileDB

    try:
        with Repo(str(root), config={"core": {"no_scm": True}}) as repo:
            name = remote or repo.config["core"].get("remote")
            far = repo.cloud.get_remote_odb(remote, f"{what}")
            make: Any = LocalHashFileDB
            photographs = make(localfs, str(store.folder), tmp_dir=repo.tmp_dir)
            yield repo.cache.local, photographs, far, str(name)
    except (DvcException, ConfigError) as error:
        line = " ".join(str(error).split())
        raise UsageError(f"DVC's remote: {line}; `dvc remote list` shows them") from error
    except OSError as error:
        raise StorageError(f"DVC's remote: {error.strerror or error}") from error


def _transfer(source: Any, target: Any, digests: set[str]) -> int:
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.transfer import transfer

    missing: list[str] = []

    def note(status: Any) -> None:
        missing.extend(str(info.value) for info in status.missing)

    infos = {HashInfo("md5", digest) for digest in digests}
    if not infos:
        return 0
    done = transfer(source, target, infos, shallow=False, verify=True, cache_odb=source, validate_status=note)
    lost = sorted({*missing, *(str(info.value) for info in done.failed)})
    if lost:
        raise StorageError(
            f"{len(lost)} objects are neither here nor there, or could not be moved: {lost[0]} …; "
            "the run cannot be made again without them"
        )
    return len(done.transferred)
