"""MD5 digests of files, as DVC takes them, each taken once.

A file is known again by its path, size, inode, and times of modification and of change. One that was written a moment
ago is not remembered: it may change again without its times telling (as git treats a "racily clean" file).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, StorageError
from pipeline.storage.artifacts import read_json, write_file

HASHES = Path(".ratchet") / "hashes.json"
_CHUNK_BYTES = 2**20
_RACY_NS = 2_000_000_000
_THREADS = 4  # the kernel reads and MD5 works without Python's lock
_LARGE_BYTES = 2**18  # what is smaller takes less time than handing it over
_KEPT = 200_000  # digests of files that were not asked for this time
_LIMIT_BYTES = 2**31


@dataclass(frozen=True)
class Found:
    """A regular file: its name relative to what was walked, where it is, and its status."""

    name: str
    path: str
    status: os.stat_result

    @property
    def identity(self) -> list[int]:
        """By what the file is known again."""
        return identity_of(self.status)


@dataclass
class Hashes:
    """The digests known in one project. `announce` is called with the number of bytes read since the last call."""

    root: Path
    announce: Callable[[int], None] = lambda _: None
    _known: dict[str, list[Any]] = field(default_factory=dict)
    _fresh: dict[str, list[Any]] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        try:
            self._known = dict(read_json(self.root / HASHES, limit_bytes=_LIMIT_BYTES))
        except (DataError, StorageError, TypeError, ValueError):
            self._known = {}  # none yet, or damaged: all are taken again

    def of(self, files: Iterable[Found]) -> list[str]:
        """Return the digest of each file. Raises StorageError if one cannot be read."""
        from concurrent.futures import ThreadPoolExecutor

        found = list(files)
        self._asked.update(file.path for file in found)
        digests = [self._remembered(file) for file in found]
        unknown = [position for position, digest in enumerate(digests) if digest is None]
        large = [position for position in unknown if found[position].status.st_size > _LARGE_BYTES]
        small = sorted({*unknown} - {*large})
        with ThreadPoolExecutor(_THREADS) as threads:
            taken = threads.map(md5_of, [found[position].path for position in large])
            for position, digest in chain(
                ((position, md5_of(found[position].path)) for position in small), zip(large, taken, strict=True)
            ):
                file, digests[position] = found[position], digest
                self.announce(file.status.st_size)
                if max(file.status.st_mtime_ns, file.status.st_ctime_ns) < time.time_ns() - _RACY_NS:
                    self._fresh[file.path] = [*file.identity, digest]
        return [digest or "" for digest in digests]

    def keep(self) -> None:
        """Remember what was learned for the next time."""
        if self._fresh:
            others = [path for path in self._known if path not in self._asked][_KEPT:]
            known = {**self._known, **self._fresh}
            for path in others:
                known.pop(path)
            write_file(self.root / HASHES, json.dumps(known).encode())  # names that are no UTF-8 are escaped

    def _remembered(self, file: Found) -> str | None:
        entry = self._known.get(file.path)
        return str(entry[-1]) if isinstance(entry, list) and entry[:-1] == file.identity else None


def identity_of(status: os.stat_result) -> list[int]:
    """Return by what a file is known again: size, times of modification and of change, inode."""
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def md5_of(path: str) -> str:
    """Return the MD5 of a file's bytes. Raises StorageError if it cannot be read."""
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - some ten thousand times
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def md5_of_bytes(content: bytes) -> str:
    """Return the MD5 of some bytes."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
