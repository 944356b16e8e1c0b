"""Where photographs are kept: beside DVC's cache, by content, each object once.

The layout is that of DVC's own cache (`ab/cdef…`; a photograph is a directory object), so that DVC can carry it to its
remotes and back. Objects are read-only and are linked into workspaces. A photograph is whole if its directory object is
there: that one is written last.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StorageError, TryAgain
from pipeline.runs.dvc_cache import DvcCache
from pipeline.runs.hashes import md5_of, md5_of_bytes
from pipeline.runs.photograph import REFERENCES, Photograph, Reference
from pipeline.storage.artifacts import fsync_folder

_CHUNK_BYTES = 2**20
_SEALED_S = 1  # the time of modification of every object: whoever writes to one changes it
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
                    self._copy(digest, f"{root}/{path}", path)
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
        store, target = str(self.folder), str(folder)  # as text: there may be ten thousand
        for path, digest in photograph.files.items():
            if not is_new and not self._is_sound(digest):
                raise self._damaged(photograph.digest)
            parent, _, _ = path.rpartition("/")
            if parent not in made:
                (folder / parent).mkdir(parents=True, exist_ok=True)
                made.add(parent)
            place(f"{store}/{digest[:2]}/{digest[2:]}", f"{target}/{path}")

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

    def _put(self, digest: str, content: bytes, mode: int = 0o444, *, is_durable: bool = False) -> None:
        target = str(self.path(digest))
        if not _is_there(target, len(content)):
            self._write(target, iter([content]), mode, is_durable=is_durable)

    def _copy(self, digest: str, source: str, name: str) -> None:
        target = f"{self.folder}/{digest[:2]}/{digest[2:]}"
        try:
            with open(source, "rb", buffering=0) as stream:  # noqa: PTH123 - some ten thousand times
                status = os.fstat(stream.fileno())
                if _is_there(target, status.st_size):
                    return
                chunks = iter(lambda: stream.read(_CHUNK_BYTES), b"")
                is_same = self._write(target, chunks, status.st_mode & 0o444 | 0o400, expected=digest)
        except FileNotFoundError:
            is_same = False
        if not is_same:
            raise TryAgain(f"{name} has changed while it was photographed; run again")

    def _write(
        self, target: str, chunks: Iterator[bytes], mode: int, *, expected: str | None = None, is_durable: bool = False
    ) -> bool:
        """Write an object aside and publish it; return False, with nothing published, if it is not the expected one."""
        parent = os.path.dirname(target)  # noqa: PTH120 - some ten thousand times
        if not os.path.isdir(parent):  # noqa: PTH112
            self._make_folder(Path(parent))
        aside, digest = f"{target}.partial-{os.getpid()}", hashlib.md5(usedforsecurity=False)
        try:
            with suppress(FileNotFoundError):  # of a killed process with the same id; nobody may write it any more
                os.unlink(aside)  # noqa: PTH108 - as above
            descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
            with open(descriptor, "wb") as stream:  # noqa: PTH123 - as above; buffered, it writes all or raises
                for chunk in chunks:
                    stream.write(chunk)
                    digest.update(chunk)
                stream.flush()
                os.fsync(descriptor) if is_durable else None
            if expected is not None and digest.hexdigest() != expected:
                os.unlink(aside)  # noqa: PTH108 - as above
                return False
            os.utime(aside, (_SEALED_S, _SEALED_S))
            os.rename(aside, target)  # noqa: PTH104 - as above
        except OSError:
            with suppress(OSError):  # the first error is the one to report
                os.unlink(aside)  # noqa: PTH108
            raise
        if is_durable:
            fsync_folder(Path(parent))
        return True

    def _make_folder(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if self.cache.is_shared:
            for each in (folder, folder.parent, folder.parent.parent):
                if each.stat().st_uid == os.getuid():
                    each.chmod(0o2775)


def _is_there(target: str, size_bytes: int) -> bool:
    """Return whether an object is there as it was written; else it is written anew, as another file.

    One that a crash of the machine cut off has another size; one that was written to later, as root or through a link
    in a workspace, another time of modification. One that is there counts as changed just now, by its time of change:
    no record names it yet, and `garbage` spares what is young. What another user owns cannot be made young, and is
    written anew.
    """
    try:
        status = os.stat(target)  # noqa: PTH116 - some ten thousand times
        if status.st_size != size_bytes or status.st_mtime != _SEALED_S:
            return False
        os.chmod(target, stat.S_IMODE(status.st_mode))  # noqa: PTH101 - as above
    except (FileNotFoundError, PermissionError):
        return False
    return True


def place(source: str, target: str) -> None:
    """Put a file in another place: a hard link, or a copy where that cannot be."""
    try:
        os.link(source, target)
    except OSError:  # another file system, one without links, too many of them
        shutil.copyfile(source, target)
