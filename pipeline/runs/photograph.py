"""The photograph of a run: its inputs as they stand on the user's disk at one moment.

It holds by value the files that the graph reads and no stage makes, the whole package, the recipe, the graph and the
execution; and by reference, digest included, what lies outside the project, and the source. git has no part in it: what
git ignores, or does not know, is in it like everything else.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, StorageError
from pipeline.graph import GRAPH_FILE, Graph, covers
from pipeline.recipe.execution import EXECUTION_FILE
from pipeline.recipe.recipe import PARAMS_FILE
from pipeline.records.digests import digest_json
from pipeline.runs.hashes import Found, Hashes, md5_of_bytes

REFERENCES = ".ratchet/references.json"  # in the photograph: what it holds by reference
IGNORE_FILE = ".dvcignore"
_ALWAYS = ("pipeline", GRAPH_FILE, EXECUTION_FILE, IGNORE_FILE)
CACHES = ("__pycache__", "lost+found")  # of Python; of a file system, where nobody may look


@dataclass(frozen=True)
class Reference:
    """A folder or file that a run reads where it is: the MD5 over its files' names and digests, and its size."""

    digest: str
    files: int
    bytes: int


@dataclass(frozen=True)
class Photograph:
    """What a run begins with. `files`: the MD5 of each file, by its path in the project; `references`, by path.

    Its digest is that of a DVC directory object (`<md5>.dir`) of these files and one more that lists the references,
    so DVC's remotes can carry it.
    """

    files: Mapping[str, str]
    references: Mapping[str, Reference]

    @property
    def listing(self) -> bytes:
        """The references, as the file that lists them."""
        return json.dumps({path: vars(one) for path, one in sorted(self.references.items())}, indent=1).encode()

    @property
    def tree(self) -> bytes:
        """The directory object, as DVC writes it."""
        listing = md5_of_bytes(self.listing)
        files = {**self.files, REFERENCES: listing}
        entries = [{"md5": digest, "relpath": path} for path, digest in sorted(files.items())]
        return json.dumps(entries, sort_keys=True).encode()

    @property
    def digest(self) -> str:
        """The digest that names the photograph."""
        return md5_of_bytes(self.tree) + ".dir"

    def inputs(self, graph: Graph, recipe: Mapping[str, Any]) -> str:
        """Return a digest of what of it decides the result: the recipe's values, the graph, and what stages read."""
        read = inputs_of(graph)
        files = {path: digest for path, digest in self.files.items() if any(covers(one, path) for one in read)}
        references = {path: one.digest for path, one in self.references.items()}
        passed_over = self.files.get(IGNORE_FILE)  # what DVC does not hash
        return digest_json([dict(recipe), self.files.get(GRAPH_FILE), passed_over, files, references])


@dataclass(frozen=True)
class Taken:
    """A photograph just taken: `known` says by which status each referenced file has its digest, by its path."""

    photograph: Photograph
    known: Mapping[str, list[Any]]


def take(root: Path, graph: Graph, source: str, hashes: Hashes, recipe: bytes | None = None) -> Taken:
    """Photograph a project; `graph` is resolved with the run's recipe, and `source` is its `data.path`.

    `recipe` is the content of the run's own `params.yaml`, if it has one. Raises StorageError or DataError if something
    of it cannot be read, or is no regular file.
    """
    read = inputs_of(graph)
    by_reference = {path for path in read if path == os.path.normpath(source) or is_outside(path)}
    referenced = {path for path in by_reference if not any(covers(other, path) for other in by_reference - {path})}
    by_value = sorted({*_ALWAYS, PARAMS_FILE, *(read - referenced)})
    found = {
        file.name: file
        for name in by_value
        for file in walk(root, name)
        if not any(covers(path, file.name) for path in referenced)
    }
    if recipe is not None:
        found.pop(PARAMS_FILE, None)
    files = dict(zip(found, hashes.of(found.values()), strict=True))
    if recipe is not None:
        files[PARAMS_FILE] = md5_of_bytes(recipe)
    references, known = {}, {}
    for path in sorted(referenced):
        if not os.path.lexists(root / path):
            continue  # what does not exist is refused elsewhere, or waits for whoever brings it
        one, its = refer(root, path, hashes)
        references[path] = one
        known.update(its)
    hashes.keep()
    return Taken(Photograph(files, references), known)


def refer(root: Path, path: str, hashes: Hashes) -> tuple[Reference, dict[str, list[Any]]]:
    """Return what a path of a project refers to, and by which status each of its files has its digest."""
    found = list(walk(root, path))
    digests = hashes.of(found)
    listed = sorted([file.name, digest] for file, digest in zip(found, digests, strict=True))
    whole = md5_of_bytes(json.dumps(listed).encode())
    size_bytes = sum(file.status.st_size for file in found)
    known = {file.name: [*file.identity, digest] for file, digest in zip(found, digests, strict=True)}
    return Reference(whole, len(found), size_bytes), known


def inputs_of(graph: Graph) -> set[str]:
    """Return the paths that the graph's stages read and none of them makes, each written in one way."""
    made = [os.path.normpath(out) for stage in graph.stages for out in stage.outs]
    read = {os.path.normpath(path) for stage in graph.stages for path in (*stage.deps, *stage.param_files)}
    return {path for path in read if not any(covers(out, path) for out in made)}


def is_outside(path: str) -> bool:
    """Return whether a path of the graph leads out of the project."""
    return Path(path).is_absolute() or Path(os.path.normpath(path)).parts[:1] == (os.pardir,)


def climbs(paths: Iterable[str]) -> int:
    """Return how many folders above the project the paths lead at most."""
    relative = [Path(os.path.normpath(path)) for path in paths if not Path(path).is_absolute()]
    return max((each.parts.count(os.pardir) for each in relative), default=0)


def walk(root: Path, name: str) -> Iterator[Found]:
    """Yield the regular files at or below a path of a project, links followed; nothing if there is nothing there.

    Raises StorageError if a folder cannot be listed or a link leads nowhere, DataError if something is neither file nor
    folder: reading it might never end.
    """
    try:
        (root / name).lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: no path has a zero byte in it
        return
    except OSError as error:
        raise StorageError(f"{name}: cannot be read: {error.strerror}; make it readable") from error
    yield from _walk(str(root / name), name, ())


def _is_editors(folder: str, child: str, name: str) -> bool:
    """Return whether an entry is the link by which Emacs marks a file that is being edited: DVC passes over it, too.

    Not outside of the project, where no `.dvcignore` says so.
    """
    path = f"{folder}/{child}"
    return child.startswith(".#") and not is_outside(name) and not os.path.exists(path)  # noqa: PTH110


def _walk(path: str, name: str, above: tuple[tuple[int, int], ...]) -> Iterator[Found]:
    try:
        status = os.stat(path)  # noqa: PTH116 - some ten thousand times
    except OSError as error:
        leads = "leads nowhere" if os.path.islink(path) else "cannot be read"  # noqa: PTH114
        raise StorageError(f"{name}: {leads}: {error.strerror}; remove or repair it") from error
    if stat.S_ISREG(status.st_mode):
        yield Found(name, path, status)
    elif stat.S_ISDIR(status.st_mode):
        here = (status.st_dev, status.st_ino)
        if here in above:
            raise StorageError(f"{name}: a link to a folder that it is in, so there is no end to it; remove it")
        try:
            with os.scandir(path) as entries:
                children = sorted(entry.name for entry in entries)
        except OSError as error:
            raise StorageError(f"{name}: cannot be listed: {error.strerror}; make it readable") from error
        for child in children:
            if child not in CACHES and not child.endswith(".pyc") and not _is_editors(path, child, name):
                yield from _walk(f"{path}/{child}", f"{name}/{child}", (*above, here))
    else:
        raise DataError(f"{name}: neither a file nor a folder, so it may never end; remove it")
