"""One run, one workspace: a plain folder made from the run's photograph, sharing DVC's cache with all other runs.

It is made under a temporary name and renamed when it is whole: a folder under a run's name is never half a workspace.
No git is involved: DVC works there without it, and `.ratchet/origin.json` says whose workspace it is.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, StorageError
from pipeline.graph import GRAPH_FILE, LOCK_FILE
from pipeline.recipe.execution import EXECUTION_FILE
from pipeline.records.origin import ORIGIN_FILE, Origin
from pipeline.runs import absent_sources, known_hashes
from pipeline.runs.hashes import Hashes
from pipeline.runs.photograph import Photograph, Reference, climbs, refer, walk
from pipeline.runs.photograph_store import PhotographStore
from pipeline.storage.artifacts import write_file
from pipeline.storage.record_files import write_record

WORK = Path(".ratchet")  # in each workspace: locks and intermediate files
WORKSPACES = WORK / "workspaces"
RUN_LOCK = "run.lock"  # in a workspace's WORK: who holds it works there
_MAKING = ".making-"
_DEEP = ".deep-"  # a workspace that has folders above it of its own, for sources named by `../…`
_UP = "up"


def workspace_of(root: Path, run_id: str) -> Path:
    """Return where a run's workspace is, or would be."""
    return root / WORKSPACES / run_id


def is_whole(workspace: Path) -> bool:
    """Return whether a workspace is there."""
    return (workspace / GRAPH_FILE).is_file()


def stage_folder(workspace: Path, stage: str) -> Path:
    """Return the folder where a stage that is run alone keeps its lock and its events."""
    return workspace / WORK / "stages" / stage


def make(
    root: Path,
    run_id: str,
    store: PhotographStore,
    photograph: Photograph,
    origin: Origin,
    *,
    known: Mapping[str, list[Any]] | None = None,
    lock: Path | None = None,
    extra: Mapping[str, bytes] | None = None,
) -> Path:
    """Make a run's workspace from its photograph; return its folder, which stays until `remove` or a `sweep`.

    `known` says which digests of the sources have just been taken: then nothing is compared again. Without it, as the
    workspace of an earlier run is made again, each object is compared with its digest, a source that is not the one
    photographed is not linked, and the execution is today's. `lock` is a `dvc.lock` to put beside, `extra` more files.
    Raises StorageError, with nothing left behind, if it cannot be made; another process may have made it meanwhile.
    """
    target = workspace_of(root, run_id)
    aside = root / WORKSPACES / f"{_MAKING}{run_id}-{os.getpid()}"
    levels = climbs(photograph.references)
    workspace = aside.joinpath(*[_UP] * levels, run_id) if levels else aside
    final = target.with_name(f"{_DEEP}{run_id}") if levels else target
    held = ExitStack()
    try:
        if not is_whole(target):
            remove(root, run_id)  # what stands there under the run's name is no workspace, and must not be in the way
        shutil.rmtree(aside, ignore_errors=True)
        (workspace / ".dvc").mkdir(parents=True)
        held.enter_context(_being_made(aside))
        store.lay_out(photograph, workspace, is_new=known is not None)
        linked = _link_references(root, workspace, photograph, is_new=known is not None)
        if known is None and (root / EXECUTION_FILE).is_file():
            (workspace / EXECUTION_FILE).unlink(missing_ok=True)
            shutil.copyfile(root / EXECUTION_FILE, workspace / EXECUTION_FILE)
        known_hashes.note(workspace, linked if known is None else known)
        if lock is not None:
            shutil.copyfile(lock, workspace / LOCK_FILE)
        for name, content in (extra or {}).items():
            write_file(workspace / name, content)
        home = os.path.relpath(root.resolve(), _inside(final, levels, run_id))
        write_record(workspace / ORIGIN_FILE, origin.changed(home=home))
        if levels and not target.is_symlink():
            shutil.rmtree(final, ignore_errors=True)  # of a process that was killed before it laid the link
        aside.rename(final)
        if levels:
            target.symlink_to(_inside(final, levels, run_id).relative_to(target.parent.resolve()))
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        if is_whole(target):  # another process came first
            return target
        raise StorageError(f"{target}: cannot be made: {error.strerror or error}") from error
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    finally:
        held.close()
    return target


def remove(root: Path, run_id: str) -> None:
    """Remove a run's workspace; do nothing if it is gone."""
    workspace = workspace_of(root, run_id)
    if workspace.is_symlink():
        workspace.unlink()
    _remove_folder(workspace.with_name(f"{_DEEP}{run_id}"))
    _remove_folder(workspace)


def names(root: Path) -> list[str]:
    """Return the ids of the runs that have a workspace."""
    try:
        return sorted(path.name for path in (root / WORKSPACES).iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []


def half_made(root: Path) -> Iterator[Path]:
    """Yield the folders of workspaces that are being made or removed, or were when a process was killed."""
    for path in sorted((root / WORKSPACES).glob(".*")):
        if path.name.startswith(_MAKING) or not workspace_of(root, path.name.removeprefix(_DEEP)).is_symlink():
            yield path


def _inside(final: Path, levels: int, run_id: str) -> Path:
    folder = final.parent.resolve() / final.name
    return folder.joinpath(*[_UP] * levels, run_id) if levels else folder


def _remove_folder(folder: Path) -> None:
    """Remove a folder; first it takes a name that no run has, so that a kill leaves no half of a workspace."""
    if not folder.is_dir() or folder.is_symlink():
        return
    aside = folder.with_name(f"{_MAKING}{folder.name.removeprefix(_DEEP)}-{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _being_made(folder: Path) -> Iterator[None]:
    """Hold the run's lock in a folder that is being made, so that nobody sweeps it away meanwhile."""
    (folder / WORK).mkdir(exist_ok=True)
    with (folder / WORK / RUN_LOCK).open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _link_references(root: Path, workspace: Path, photograph: Photograph, *, is_new: bool) -> dict[str, list[Any]]:
    """Link what the photograph refers to, as far as it is still that; return what is known of its files."""
    hashes, absent = Hashes(root), []
    known: dict[str, list[Any]] = {}
    for path, reference in photograph.references.items():
        found = None if is_new else _as_photographed(root, path, reference, hashes)
        if found is None and not is_new:
            absent.append(path)
            continue
        known.update(found or {})
        if not Path(path).is_absolute():
            link = Path(os.path.normpath(workspace / path))
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to((root / path).resolve())
    absent_sources.note(workspace, absent)
    return known


def _as_photographed(root: Path, path: str, reference: Reference, hashes: Hashes) -> dict[str, list[Any]] | None:
    """Return what is known of a reference's files; None if it is no longer what was photographed."""
    try:
        found = list(walk(root, path))
        if (len(found), sum(file.status.st_size for file in found)) != (reference.files, reference.bytes):
            return None  # known without reading it
        now, known = refer(root, path, hashes)
        return known if now.digest == reference.digest else None
    except (DataError, StorageError):
        return None
