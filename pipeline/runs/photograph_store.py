"""Where photographs are kept: beside DVC's cache, by content, each object once.

The layout is that of DVC's own cache (`ab/cdef…`; a photograph is a directory object), so that DVC can carry it to its
remotes and back. Objects are read-only and are linked into workspaces. A photograph is whole if its directory object is
there: that one is written last.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StorageError, TryAgain
from pipeline.runs.dvc_cache import DvcCache
from pipeline.runs.hashes import md5_of, md5_of_bytes
from pipeline.runs.photograph import REFERENCES, Photograph, Reference
from pipeline.storage.artifacts import fsync_folder

FOLDER = Path("ratchet") / "photographs"  # in DVC's cache


@dataclass(frozen=True)
class PhotographStore:
    """The photographs of all runs that share a DVC cache."""

    cache: DvcCache

    @property
    def folder(self) -> Path:
        """Where the objects are."""
        return self.cache.folder / FOLDER

    def path(self, digest: str) -> Path:
        """Return where an object is, or would be."""
        return self.folder / digest[:2] / digest[2:]

    def has(self, digest: str) -> bool:
        """Return whether a photograph is there."""
        return self.path(digest).is_file()

    def size_of(self, digest: str) -> int | None:
        """Return the size of an object, bytes; None if it is not there."""
        try:
            return self.path(digest).stat().st_size
        except OSError:
            return None

    def keep(self, photograph: Photograph, root: Path, own: Mapping[str, bytes]) -> str:
        """Keep a photograph of the files under `root`, but for those whose content is given; return its digest.

        Raises TryAgain if a file has changed since it was photographed, StorageError if the cache cannot be written.
        """
        given = {**own, REFERENCES: photograph.listing}
        contents = {md5_of_bytes(content): content for content in given.values()}
        try:
            for digest, content in contents.items():
                self._put(digest, content)
            for path, digest in photograph.files.items():
                if digest not in contents:
                    self._copy(digest, root / path, path)
            self._put(photograph.digest, photograph.tree, is_durable=True)
        except OSError as error:
            raise StorageError(f"{self.folder}: cannot be written: {error.strerror or error}") from error
        return photograph.digest

    def read(self, digest: str) -> Photograph:
        """Return a photograph. Raises StorageError, saying what to do, if it is not there or damaged."""
        entries = self._entries(digest)
        try:
            listed = json.loads(self._content(entries.pop(REFERENCES)))
            references = {path: Reference(**one) for path, one in listed.items()}
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(digest) from error
        return Photograph(entries, references)

    def content(self, photograph: Photograph, path: str) -> bytes:
        """Return a photographed file's bytes; raise StorageError if they are gone or damaged."""
        return self._content(photograph.files[path])

    def lay_out(self, photograph: Photograph, folder: Path, *, is_new: bool = False) -> None:
        """Put a photograph's files into a folder: links where the file system can, else copies.

        Each object is compared with its digest, unless the photograph `is_new`. Raises StorageError if one is damaged.
        """
        made: set[str] = set()
        for path, digest in photograph.files.items():
            if not is_new and not self._is_sound(digest):
                raise self._damaged(photograph.digest)
            parent, _, _ = path.rpartition("/")
            if parent not in made:
                (folder / parent).mkdir(parents=True, exist_ok=True)
                made.add(parent)
            place(self.path(digest), folder / path)

    def digests(self, digest: str) -> set[str]:
        """Return the digests of a photograph's objects, its own included. Raises StorageError if it is damaged."""
        return {digest, *self._entries(digest).values()}

    def _entries(self, digest: str) -> dict[str, str]:
        try:
            return {str(entry["relpath"]): str(entry["md5"]) for entry in json.loads(self._content(digest))}
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(digest) from error

    def _content(self, digest: str) -> bytes:
        try:
            content = self.path(digest).read_bytes()
        except OSError as error:
            raise StorageError(
                f"photograph {digest[:8]}: {self.path(digest)} cannot be read: {error.strerror}; "
                "`ratchet runs pull ID` brings it from DVC's remote"
            ) from error
        if md5_of_bytes(content) != digest.removesuffix(".dir"):
            raise self._damaged(digest)
        return content

    def _is_sound(self, digest: str) -> bool:
        try:
            return md5_of(str(self.path(digest))) == digest
        except StorageError:
            return False

    def _damaged(self, digest: str) -> StorageError:
        return StorageError(
            f"photograph {digest[:8]} in {self.folder} is damaged or not whole; `ratchet runs pull ID` brings it from "
            "DVC's remote, a new run takes a new one"
        )

    def _put(self, digest: str, content: bytes, *, is_durable: bool = False) -> None:
        target = self.path(digest)
        if _is_there(target, len(content)):
            return
        with self._aside(target) as aside:
            with aside.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno()) if is_durable else None
            self._publish(aside, target, 0o444)
        if is_durable:
            fsync_folder(target.parent)

    def _copy(self, digest: str, source: Path, name: str) -> None:
        target = self.path(digest)
        try:
            status = source.stat()
            if _is_there(target, status.st_size):
                return
            with self._aside(target) as aside:
                shutil.copyfile(source, aside)
                is_same = md5_of(str(aside)) == digest
                if is_same:
                    self._publish(aside, target, status.st_mode & 0o444 | 0o400)
        except FileNotFoundError:
            is_same = False
        if not is_same:
            raise TryAgain(f"{name} has changed while it was photographed; run again")

    def _aside(self, target: Path) -> _Aside:
        if not target.parent.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            if self.cache.is_shared:
                for folder in (target.parent, target.parent.parent, target.parent.parent.parent):
                    if folder.stat().st_uid == os.getuid():
                        folder.chmod(0o2775)
        return _Aside(target.with_name(f".{target.name}.partial-{os.getpid()}"))

    def _publish(self, aside: Path, target: Path, mode: int) -> None:
        aside.chmod(mode)
        aside.replace(target)


class _Aside:
    """A file to write aside, removed if it is not published."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)


def _is_there(target: Path, size_bytes: int) -> bool:
    """Return whether an object is there in its full length: one that a crash of the machine cut off is written anew.

    It then counts as changed just now, by its time of change alone: no record names it yet, and `garbage` spares what
    is young. One that another user owns cannot be made young, and is written anew.
    """
    try:
        status = os.stat(target)  # noqa: PTH116 - some ten thousand times
        if status.st_size != size_bytes:
            return False
        os.chmod(target, stat.S_IMODE(status.st_mode))  # noqa: PTH101
    except (FileNotFoundError, PermissionError):
        return False
    return True


def place(source: Path, target: Path) -> None:
    """Put a file in another place: a hard link, or a copy where that cannot be."""
    try:
        os.link(source, target)
    except OSError:  # another file system, one without links, too many of them
        shutil.copyfile(source, target)
