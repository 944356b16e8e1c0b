"""The one way to call git, and the one question that Ratchet asks of it: which commit is this, and do the files differ?

No run needs git. Where there is a repository, it names the commit in the lineage of a model.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from pipeline.errors import StorageError, UsageError
from pipeline.graph import GRAPH_FILE, LOCK_FILE, Graph, covers
from pipeline.recipe.execution import EXECUTION_FILE
from pipeline.recipe.recipe import PARAMS_FILE

_TIMEOUT_S = 600.0  # a checkout on a slow disk, several times
_LINK, _SUBMODULE = "120000", "160000"  # modes of git's trees
_CODE = "pipeline"
_CACHES = frozenset({"__pycache__"})
# A repository may belong to somebody else: it is read, and nothing that its configuration names is executed.
_OPTIONS = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
# What describes the machine may be inherited. All other GIT_… variables are about one call: inside a hook they name the
# repository, the index and the folder that git itself is working on.
_INHERITED = frozenset(
    {
        "GIT_CEILING_DIRECTORIES",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_SYSTEM",
        "GIT_DISCOVERY_ACROSS_FILESYSTEM",
        "GIT_EXEC_PATH",
    }
)
# No lock that would block a commit being made, no download of what a partial clone lacks, nothing in place of a commit.
_SET = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_NO_REPLACE_OBJECTS": "1", "LC_ALL": "C"}


@dataclass(frozen=True)
class Commit:
    """The commit that is checked out in a folder, and whether the files in question differ from it; None: unknown."""

    digest: str
    is_dirty: bool | None


def git(folder: Path, *arguments: str, given: bytes = b"") -> str:
    """Return what git prints in a folder; `given` is its standard input.

    Raises UsageError if git is not installed, StorageError with git's own words if it refuses or does not answer.
    """
    environment = {name: text for name, text in os.environ.items() if not name.startswith("GIT_") or name in _INHERITED}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *_OPTIONS, *arguments],
            input=given,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_S,
            env={**environment, **_SET},
        )
    except FileNotFoundError as error:
        raise UsageError("git is not installed; run `make setup`") from error
    except subprocess.TimeoutExpired as error:
        raise StorageError(f"git {arguments[0]} did not answer within {_TIMEOUT_S:g} s in {folder}") from error
    if done.returncode != 0:
        said = os.fsdecode(done.stderr.strip() or done.stdout.strip())
        raise StorageError(f"git {arguments[0]} failed in {folder}: {said}")
    return os.fsdecode(done.stdout)


def paths_of_run(graph: Graph, source: str) -> tuple[str, ...]:
    """Return what a run uses of a project's folder: its code, its settings, and what the graph reads and nothing makes.

    The source of the data is left out: its own digest is in the lineage, whether or not git has it.
    """
    made = [out for stage in graph.stages for out in stage.outs]
    read = {path for stage in graph.stages for path in (*stage.deps, *stage.param_files)}
    outside = {path for path in read if not any(covers(base, path) for base in (*made, _CODE, source))}
    return (_CODE, PARAMS_FILE, GRAPH_FILE, EXECUTION_FILE, ".dvcignore", *sorted(outside))


def commit_of(folder: Path, paths: Sequence[str]) -> Commit:
    """Return the commit that is checked out in a folder, and whether the files and folders `paths` differ from it.

    The bytes on disk are compared with the commit, not with git's index: what is staged, untracked, ignored or hidden
    from git (`git update-index --skip-worktree`) counts too. DVC's lock and Python's caches do not. Raises UsageError
    if git is not installed, StorageError outside a repository or without a commit.
    """
    digest = git(folder, "rev-parse", "--verify", "HEAD^{commit}").strip()
    return Commit(digest, _differs(folder, digest, paths))


def _differs(folder: Path, commit: str, paths: Sequence[str]) -> bool | None:
    """Return whether a file under `paths` is another than in the commit; None if that cannot be known."""
    asked = [os.path.normpath(path) for path in paths]
    present, is_known = _files(folder, asked)
    committed = _tree(folder, commit, [*asked, *present])
    submodules = {path: digest for path, (mode, digest) in committed.items() if mode == _SUBMODULE}
    of_submodules: dict[str, list[str]] = {}
    others = []
    for path in present:
        if outer := next((name for name in submodules if covers(name, path)), None):
            of_submodules.setdefault(outer, []).append(os.path.relpath(path, outer))
        elif path not in committed:
            return True
        elif not _is_same(folder / path, *committed[path]):
            if committed[path][0] == _LINK or (folder / path).is_symlink() or not (folder / path).is_file():
                return True
            others.append(path)
    gone = committed.keys() - present - submodules.keys() - {LOCK_FILE}
    if any(one == "." or covers(one, path) for path in gone for one in asked):
        return True
    for outer, files in of_submodules.items():
        nested = commit_of(folder / outer, files)
        if nested.digest != submodules[outer] or nested.is_dirty:
            return True
        is_known &= nested.is_dirty is not None
    differs = _differs_converted(folder, {path: committed[path][1] for path in others})
    return differs or (differs if is_known else None)


def _tree(folder: Path, commit: str, paths: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return mode and digest of each file that the commit has under the first part of each of the paths."""
    tops = sorted({path.partition("/")[0] for path in paths} - {"", ".."})
    if not tops:
        return {}
    listed = git(folder, "ls-tree", "-r", "-z", commit, "--", *(() if "." in tops else tops))
    entries = (entry.partition("\t") for entry in listed.split("\0") if entry)
    return {path: (facts.split()[0], facts.split()[2]) for facts, _, path in entries}


def _files(folder: Path, paths: Sequence[str]) -> tuple[set[str], bool]:
    """Return the files under the paths, without caches, and whether all are inside the folder.

    A link is a file, and what it points to is another.
    """
    top = os.path.realpath(folder)
    found, seen, left, are_inside = set[str](), {LOCK_FILE}, list(paths), True
    for path in paths:
        if link := next((above for above in _above(path) if (folder / above).is_symlink()), None):
            left += [link, os.path.relpath(os.path.realpath(folder / path), top)]
            left.remove(path)
    while left:
        path = left.pop()
        if path == ".." or path.startswith(("/", "../")):
            are_inside = False
            continue
        if path in seen:
            continue
        seen.add(path)
        full = folder / path
        if full.is_symlink():
            found.add(path)
            left.append(os.path.relpath(os.path.realpath(full), top))
        elif full.is_dir():
            left += [os.path.normpath(f"{path}/{name}") for name in _names(full)]
        elif full.exists():
            found.add(path)
    return found, are_inside


def _above(path: str) -> list[str]:
    """Return the folders above a path, the outermost first."""
    return [str(above) for above in list(PurePath(path).parents)[-2::-1]]  # the last one is the folder itself


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir() if path.name not in _CACHES]
    except OSError as error:
        raise StorageError(f"{folder}: cannot be read: {error.strerror}") from error


def _is_same(path: Path, mode: str, digest: str) -> bool:
    """Return whether a file is byte for byte the one that the commit has."""
    try:
        if path.is_symlink() or mode == _LINK:
            return path.is_symlink() and _blob(os.fsencode(path.readlink()), digest) == digest
        if not path.is_file():  # a pipe, or a socket
            return False
        with path.open("rb") as stream:
            size_bytes = os.fstat(stream.fileno()).st_size
            return hashlib.file_digest(stream, lambda: _blob_of(size_bytes, digest)).hexdigest() == digest
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error


def _differs_converted(folder: Path, digests: Mapping[str, str]) -> bool | None:
    """Return whether files that are not the commit's byte for byte differ from it in more than how git stores them.

    Git converts the ends of lines itself. What another program converts (a filter) is not executed: it may come from
    somebody else's configuration. Git LFS stores a text that names the content's digest, so that is compared.
    """
    if not digests:
        return False
    asked = b"".join(os.fsencode(path) + b"\0" for path in digests)
    fields = git(folder, "check-attr", "-z", "--stdin", "filter", given=asked).split("\0")
    filters = dict(zip(fields[0::3], fields[2::3], strict=False))
    plain = [path for path in digests if filters[path] in ("unspecified", "unset")]
    if plain:
        # Git reads these names from the top of its work tree.
        prefix = git(folder, "rev-parse", "--show-prefix").removesuffix("\n")
        names = b"".join(_quoted(prefix + path) + b"\n" for path in plain)
        stored = git(folder, "hash-object", "--stdin-paths", given=names).split()
        if stored != [digests[path] for path in plain]:
            return True
    if any(_lfs_pointer(folder / path, digests[path]) != digests[path] for path in digests if filters[path] == "lfs"):
        return True
    return False if all(filters[path] == "lfs" or path in plain for path in digests) else None


def _quoted(path: str) -> bytes:
    """Return a name as git reads one in a list of lines."""
    return (
        b'"'
        + b"".join(b"\\%03o" % byte if byte < 32 or byte in b'"\\' else bytes([byte]) for byte in os.fsencode(path))
        + b'"'
    )


def _lfs_pointer(path: Path, like: str) -> str:
    """Return the digest of the text by which Git LFS stands for a file's content (its pointer file, version 1)."""
    with path.open("rb") as stream:
        content = hashlib.file_digest(stream, "sha256").hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{content}\nsize {path.stat().st_size}\n"
    return _blob(pointer.encode(), like)


def _blob(content: bytes, like: str) -> str:
    """Return the digest that git gives to a content, by the algorithm of another digest."""
    found = _blob_of(len(content), like)
    found.update(content)
    return found.hexdigest()


def _blob_of(size_bytes: int, like: str) -> hashlib._Hash:
    """Return the start of a content's digest: git puts its size first. Git has two algorithms, by length."""
    return hashlib.new("sha1" if len(like) == 40 else "sha256", b"blob %d\0" % size_bytes, usedforsecurity=False)
