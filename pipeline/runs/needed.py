"""What of DVC's cache and of the photographs is still needed, by whom, in every project that shares the cache.

Needed is what a lock names: those of the runs, of their attempts, of the workspaces, and of every branch, tag and stash
of git that a person may check out; whatever else DVC tracks in the project; and the photographs of runs, workspaces and
registered versions. What a lock names as read counts as well as what it names as made: a source under `dvc add` has
grown since, and a run can be repeated only with what it read then. If anything of all that cannot be read, nothing may
be freed: each function here raises one line that names it.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, RatchetError, StorageError
from pipeline.graph import LOCK_FILE
from pipeline.recipe.execution import load_execution
from pipeline.recipe.strict_yaml import parse_yaml_text
from pipeline.records.run import ATTEMPTS, RUNS
from pipeline.registry.reader import open_reader
from pipeline.registry.store import resolve_store
from pipeline.registry.versions import MISSING, PHOTOGRAPH
from pipeline.runs import history, workspaces
from pipeline.runs.dvc_cache import DvcCache
from pipeline.runs.hashes import md5_of
from pipeline.runs.photograph_store import PhotographStore
from pipeline.runtime.git import git
from pipeline.storage.artifacts import read_json
from pipeline.storage.home import find_origin

_WORKTREES = ".worktrees"  # where runs worked before they had workspaces
_OURS = (RUNS, ".ratchet", _WORKTREES)  # folders whose locks are read here; DVC need not understand what is there
_DIGEST = re.compile(r"[0-9a-f]{32}(\.dir)?")
_TREES = ("commit", "tree")
_FORMAT = "%(if)%(*objectname)%(then)%(*objecttype) %(*objectname)%(else)%(objecttype) %(objectname)%(end)"
Announce = Callable[[str], None]


@dataclass
class Needed:
    """The digests of what is needed. `sources` counts who needs it, in words that a person knows."""

    outputs: set[str] = field(default_factory=set)
    photographs: set[str] = field(default_factory=set)
    sources: dict[str, int] = field(default_factory=dict)
    _locks: set[str] = field(default_factory=set)  # those read already: many runs have the same

    def count(self, source: str, number: int = 1) -> None:
        """Count who needs something."""
        self.sources[source] = self.sources.get(source, 0) + number

    def add_lock(self, content: bytes, where: str) -> None:
        """Need what a lock names. Raises StorageError if it cannot be read."""
        digest = sha256(content).hexdigest()
        if digest in self._locks:
            return
        try:
            lock = parse_yaml_text(content, where)
        except RatchetError as error:
            raise StorageError(f"{error}; nothing is freed: repair or remove it") from error
        self.outputs.update(digests_in(lock))  # all of it: DVC 1 had the stages at the top
        self._locks.add(digest)


def needed_by(root: Path, needed: Needed, announce: Announce) -> None:
    """Add what a project needs."""
    _add_runs(root, needed, announce)
    _add_workspaces(root, needed)
    _add_tracked(root, needed)
    _add_git(root, needed, announce)
    _add_registry(root, needed)


def expanded(needed: Needed, cache: DvcCache) -> set[str]:
    """Return all needed objects of DVC's cache, the contents of folders included.

    What is not in the cache any more needs nothing. Raises DataError if the list of a folder's contents is damaged.
    """
    objects = set(needed.outputs)
    for digest in needed.outputs:
        path = cache.path(digest)
        if digest.endswith(".dir") and path.is_file():
            if md5_of(str(path)) != digest.removesuffix(".dir"):
                raise DataError(
                    f"{path}: damaged, so what it lists is not known and nothing is freed; remove it, "
                    "`ratchet run` or `dvc fetch` brings it back"
                )
            objects.update(str(entry["md5"]) for entry in read_json(path, limit_bytes=2**31))
    return objects


def photograph_objects(needed: Needed, store: PhotographStore) -> set[str]:
    """Return the digests of all objects of the needed photographs. Raises StorageError if one is damaged."""
    objects: set[str] = set()
    for digest in needed.photographs:
        if store.has(digest):
            objects.update(store.digests(digest))
    return objects


def digests_in(value: Any) -> Iterator[str]:
    """Yield every digest in a lock, wherever it stands (`files:` of a versioned remote are deeper)."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "md5" and isinstance(inner, str):
                yield inner
            elif key != "params":
                yield from digests_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from digests_in(inner)


def _add_lock_file(path: Path, needed: Needed) -> None:
    try:
        needed.add_lock(path.read_bytes(), str(path))
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}; nothing is freed") from error


def _add_runs(root: Path, needed: Needed, announce: Announce) -> None:
    folders = [path for path in sorted((root / RUNS).glob("*")) if path.is_dir() and not path.name.startswith(".")]
    for number, folder in enumerate(folders, 1):
        announce(f"{number} of {len(folders)} runs read")
        for record in history.attempts_of(root, folder.name) if history.is_id(folder.name) else ():
            needed.photographs.update({record.photograph} if record.photograph else ())
        for lock in (folder / LOCK_FILE, *sorted(folder.glob(f"{ATTEMPTS}/*/{LOCK_FILE}"))):
            if os.path.lexists(lock):
                _add_lock_file(lock, needed)
    needed.count("run", len(folders))


def _add_workspaces(root: Path, needed: Needed) -> None:
    folders = [workspaces.workspace_of(root, name) for name in workspaces.names(root)]
    old = [path for path in sorted((root / _WORKTREES).glob("*")) if path.is_dir()]
    for folder in (*folders, *old):
        if os.path.lexists(folder / LOCK_FILE):
            _add_lock_file(folder / LOCK_FILE, needed)
        origin = find_origin(folder)
        needed.photographs.update({origin.photograph} if origin and origin.photograph else ())
    needed.count("workspace", len(folders) + len(old))


def _add_tracked(folder: Path, needed: Needed, **settings: str) -> None:
    """Add whatever DVC, when asked, says that it tracks in a folder: its lock, and data under `dvc add`."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    def refuse(path: str, error: Exception) -> None:
        inside = os.path.relpath(Path(path).absolute(), folder.resolve())  # DVC names it from the current folder
        if Path(inside).parts[0] not in _OURS:
            raise error

    if (folder / LOCK_FILE).is_file():
        _add_lock_file(folder / LOCK_FILE, needed)
    try:
        with Repo(str(folder), config={"core": {"no_scm": True, **settings}}) as repo:
            repo.stage_collection_error_handler = refuse
            for out in repo.index.outs:
                if out.hash_info and out.hash_info.value:
                    needed.outputs.add(str(out.hash_info.value))
                needed.outputs.update(digests_in(out.dumpd()))
    except DvcException as error:
        line = " ".join(str(error).split())
        raise StorageError(f"DVC cannot say what it tracks in {folder}: {line}; nothing is freed: repair it") from error


def _add_git(root: Path, needed: Needed, announce: Announce) -> None:
    """Add what every branch, tag, stash and worktree of git tracks with DVC, if the project is in a repository."""
    if not any(os.path.lexists(folder / ".git") for folder in (root.resolve(), *root.resolve().parents)):
        return
    try:
        trees = _trees(root)
        files: dict[str, str] = {}
        for number, tree in enumerate(trees, 1):
            announce(f"{number} of {len(trees)} branches, tags and stashes of git read")
            files.update(_tracking_files(root, tree))
        contents = {blob: git(root, "cat-file", "blob", blob) for blob in files}
    except RatchetError as error:
        raise StorageError(f"{error}; git cannot say what its branches need, so nothing is freed") from error
    for blob, name in files.items():
        if name == LOCK_FILE:
            needed.add_lock(_as_bytes(contents[blob]), f"{LOCK_FILE} of git's object {blob[:10]}")
    _add_data_of_git({blob: _as_bytes(contents[blob]) for blob, name in files.items() if name != LOCK_FILE}, needed)
    needed.count("git commit", len(trees))


def _trees(root: Path) -> list[str]:
    named = [line.split() for line in git(root, "for-each-ref", f"--format={_FORMAT}").splitlines()]
    found = [digest for kind, digest in named if kind in _TREES]
    worktrees = git(root, "worktree", "list", "--porcelain").splitlines()
    found += [line.split()[1] for line in worktrees if line.startswith("HEAD ")]
    for line in git(root, "stash", "list", "--format=%H %P").splitlines():
        found += line.split()  # a stash is a commit; its parents hold the index, and files that git did not know
    return [digest for digest in dict.fromkeys(found) if digest.strip("0")]


def _tracking_files(root: Path, tree: str) -> dict[str, str]:
    """Return the locks and `.dvc` files of a tree, below the project's folder: git's object, and the file's name."""
    found = {}
    for line in git(root, "-c", "core.quotePath=true", "ls-tree", "-r", tree).splitlines():
        description, _, path = line.partition("\t")
        name = path.strip('"').rpartition("/")[2]
        mode, kind, blob = description.split()
        if kind == "blob" and mode != "120000" and (name == LOCK_FILE or (name.endswith(".dvc") and name != ".dvc")):
            found[blob] = name if name == LOCK_FILE else "data.dvc"
    return found


def _add_data_of_git(files: Mapping[str, bytes], needed: Needed) -> None:
    """Add what `.dvc` files name: each is put into a folder of its own, and DVC is asked what it tracks there."""
    if not files:
        return
    with tempfile.TemporaryDirectory(prefix="ratchet-") as name:
        folder = Path(name)
        (folder / ".dvc").mkdir()
        for blob, content in files.items():
            (folder / blob).mkdir()
            (folder / blob / "data.dvc").write_bytes(content)
        try:
            _add_tracked(folder, needed, site_cache_dir=str(folder / "dvc"))
        except StorageError as error:
            named = next((blob for blob in files if blob in str(error)), None)
            where = f"a .dvc file of git (`git cat-file blob {named}`)" if named else "the .dvc files of git"
            raise StorageError(f"{where}: DVC cannot say what it tracks; nothing is freed") from error


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _add_registry(root: Path, needed: Needed) -> None:
    try:
        reader = open_reader(resolve_store(root, load_execution(root).mlflow))
        versions = [version for name in reader.names() for version in reader.versions(name)]
    except RatchetError as error:
        raise StorageError(f"{error}; what its versions need is not known, so nothing is freed") from error
    for version in versions:
        digest = version.tags.get(PHOTOGRAPH, MISSING)
        if digest == MISSING:
            continue
        if not _DIGEST.fullmatch(digest):
            raise DataError(
                f"{version.name} v{version.version}: tag {PHOTOGRAPH} is no digest: {digest:.80}; "
                "nothing is freed: correct or remove it"
            )
        needed.photographs.add(digest)
    needed.count("registered version", len(versions))
