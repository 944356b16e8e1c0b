"""Frees what nothing needs any more, from DVC's cache and from the photographs beside it. `runs/` is never touched.

What is younger than an hour is spared: a stage, or DVC, may have written it a moment ago, and no lock names it yet. An
object's age is that of its last change of any kind; DVC moves files into its cache, with the times they had.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import RatchetError, StorageError, TryAgain, UsageError
from pipeline.recipe.strict_yaml import parse_yaml
from pipeline.runs import workspaces
from pipeline.runs.dvc_cache import DvcCache, cache_of
from pipeline.runs.locks import is_run_going_on, is_same_work_going_on, maker_lock, run_lock
from pipeline.runs.needed import Announce, Needed, digests_in, expanded, needed_by, photograph_objects
from pipeline.runs.photograph_store import PhotographStore

OUTPUTS, PHOTOGRAPHS, RUN_CACHE = "outputs", "photographs", "run cache"
_YOUNG_S = 3600.0
_FOLDER = re.compile(r"[0-9a-f]{2}")
_OBJECT = re.compile(r"[0-9a-f]{30}(\.dir)?")
_ASIDE = re.compile(r".+\.partial-\d+")  # of a photograph, when a process was killed
_ENTRY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Object:
    """A file of the cache that nothing needs, of a kind (outputs, photographs, run cache)."""

    kind: str
    path: Path
    size_bytes: int


@dataclass(frozen=True)
class Garbage:
    """What would be freed. `needed` says who was asked what they need, `young` how many objects are spared."""

    cache: DvcCache
    objects: tuple[Object, ...]
    young: int
    needed: Needed

    @property
    def kinds(self) -> list[str]:
        """The kinds of which something would be freed."""
        return [kind for kind in (OUTPUTS, PHOTOGRAPHS, RUN_CACHE) if any(one.kind == kind for one in self.objects)]

    def of(self, kind: str) -> tuple[int, int]:
        """Return the number of objects of a kind, and their bytes."""
        sizes = [one.size_bytes for one in self.objects if one.kind == kind]
        return len(sizes), sum(sizes)


def projects_of(root: Path, others: Sequence[Path]) -> list[Path]:
    """Return the projects that share the cache of the one at `root`, itself included.

    Raises UsageError if the cache is outside of the project's folder and no other is named, or one that does not share
    it.
    """
    folder = cache_of(root).folder.resolve()
    if not others and not folder.is_relative_to(root.resolve()):
        raise UsageError(
            f"DVC's cache is {folder}, outside of this project: what others keep there would be freed; name each "
            "other project that shares it with --project PATH, or this one (--project .) if there is none"
        )
    projects = [root.resolve()]
    for path in others:
        if not (path / ".dvc").is_dir():
            raise UsageError(f"--project {path}: no project of DVC (no folder .dvc there)")
        if cache_of(path.resolve()).folder.resolve() != folder:
            raise UsageError(f"--project {path}: its DVC cache is not {folder}")
        projects.append(path.resolve())
    return list(dict.fromkeys(projects))


@contextmanager
def standing_still(projects: Sequence[Path]) -> Iterator[None]:
    """Let no run begin or go on in these projects. Raises TryAgain if one works there, or DVC does."""
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo

    with ExitStack() as locks:
        for root in projects:
            locks.enter_context(maker_lock(root))
            folders = [root, *(workspaces.workspace_of(root, name) for name in workspaces.names(root))]
            working = next((folder for folder in folders if is_run_going_on(folder)), None)
            if working is not None or is_same_work_going_on(root):
                raise TryAgain(f"a run works in {working or root}: nothing is freed meanwhile; wait for it")
            for folder in folders:
                locks.enter_context(run_lock(folder))
            try:
                repo = locks.enter_context(Repo(str(root), config={"core": {"no_scm": True}}))
                locks.enter_context(repo.lock)
            except LockError as error:
                raise TryAgain(f"another DVC command is running in {root}; wait for it, then run again") from error
            except DvcException as error:
                raise StorageError(f"DVC cannot open {root}: {error}") from error
        yield


def find(projects: Sequence[Path], announce: Announce) -> Garbage:
    """Return what none of these projects needs. Raises a RatchetError naming whatever cannot be asked or read."""
    cache = cache_of(projects[0])
    store, needed = PhotographStore(cache), Needed()
    for root in projects:
        needed_by(root, needed, announce)
    objects, photographs = expanded(needed, cache), photograph_objects(needed, store)
    found: list[Object] = []
    young = 0
    for kind, folder, wanted in (
        (OUTPUTS, cache.folder / "files" / "md5", objects),
        (PHOTOGRAPHS, store.folder, photographs),
    ):
        for path, status in _files(folder):
            announce(f"{len(found)} objects found that nothing needs")
            is_object = _OBJECT.fullmatch(path.name) is not None
            is_aside = kind == PHOTOGRAPHS and _ASIDE.fullmatch(path.name) is not None
            if not (is_object or is_aside) or f"{path.parent.name}{path.name}" in wanted:
                continue
            if _is_young(status):
                young += 1
            else:
                found.append(Object(kind, path, status.st_size))
    freed = {f"{one.path.parent.name}{one.path.name}" for one in found if one.kind == OUTPUTS}
    entries = [
        Object(RUN_CACHE, path, status.st_size)
        for path, status in _entries(cache.folder / "runs")
        if not _is_young(status) and _leads_nowhere(path, cache, freed)
    ]
    return Garbage(cache, (*entries, *sorted(found, key=_is_no_list)), young, needed)


def free(garbage: Garbage, announce: Announce) -> int:
    """Remove what was found, in an order in which a kill leaves no list of things that are gone; return the bytes.

    What has become young meanwhile is spared.
    """
    freed_bytes = 0
    for number, one in enumerate(garbage.objects, 1):
        announce(f"{number} of {len(garbage.objects)} freed")
        try:
            if not _is_young(one.path.lstat()):
                one.path.unlink()
                freed_bytes += one.size_bytes
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StorageError(f"{one.path}: cannot be removed: {error.strerror}") from error
    return freed_bytes


def _is_no_list(one: Object) -> bool:
    return one.path.suffix != ".dir"


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the files of a store of objects: `ab/cdef…`."""
    for above in sorted(folder.iterdir()) if folder.is_dir() else ():
        if _FOLDER.fullmatch(above.name) and above.is_dir():
            for entry in sorted(os.scandir(above), key=lambda entry: entry.name):
                if entry.is_file(follow_symlinks=False):
                    yield Path(entry.path), entry.stat(follow_symlinks=False)


def _entries(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in sorted(folder.glob("*/*/*")):
        if _ENTRY.fullmatch(path.name) and path.is_file():
            yield path, path.lstat()


def _is_young(status: os.stat_result) -> bool:
    return time.time() - max(status.st_mtime, status.st_ctime) < _YOUNG_S


def _leads_nowhere(entry: Path, cache: DvcCache, freed: set[str]) -> bool:
    """Return whether an entry of DVC's run cache names an output that is gone, or goes now: DVC cannot use it."""
    try:
        outs = parse_yaml(entry).get("outs") or ()
    except RatchetError:
        return False  # whatever it is, DVC will say
    return any(digest in freed or not cache.path(digest).is_file() for digest in digests_in(outs))
