"""The bytes of a file of text, piece by piece, plain or gzip (RFC 1952, by its first bytes), never without bound."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from pipeline.data.file_reading import open_stream
from pipeline.data.problems import CHANGED
from pipeline.errors import DataError, StorageError

_GZIP = b"\x1f\x8b"
_MAY_SWELL_BYTES = 2**20  # whatever the ratio


class Bounds(NamedTuple):
    """What a file may hold: so many bytes (by the setting of that name), and packed, so many times its size."""

    total_bytes: int
    total_key: str
    ratio: int


class FileState(NamedTuple):
    """Size and time of a file, by which it is told that it has changed."""

    size: int
    modified_ns: int


class Stream:
    """A file that is read from its begin. `shown` is what messages call it."""

    def __init__(self, file: BinaryIO, shown: str, bounds: Bounds) -> None:
        """Look at the first bytes of an open file."""
        self._shown, self._bounds, self._file = shown, bounds, file
        found = os.fstat(file.fileno())
        self.state = FileState(found.st_size, found.st_mtime_ns)
        with self._told():
            self.is_packed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
        if shown.lower().endswith(".gz") and not self.is_packed and self.state.size:
            raise DataError(f"{shown}: is called .gz and is no gzip; rename it, or bring it again")
        self._content = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if self.is_packed else file
        self._read_bytes = 0

    def read(self, size: int) -> bytes:
        """Return the next bytes, less than `size` only at the end; raise DataError if they cannot be unpacked."""
        with self._told():
            content = self._content.read(size)
            while content and len(content) < size and (more := self._content.read(size - len(content))):
                content += more
        self._read_bytes += len(content)
        self._require_bounded()
        return content

    def require_unchanged(self, before: FileState) -> None:
        """Raise DataError unless the file is as it was."""
        now = os.fstat(self._file.fileno())
        if FileState(now.st_size, now.st_mtime_ns) != before or self.state != before:
            raise DataError(f"{self._shown}: {CHANGED}; run again")

    def _require_bounded(self) -> None:
        may_swell = max(_MAY_SWELL_BYTES, self._bounds.ratio * self.state.size)
        if self._read_bytes > self._bounds.total_bytes:
            raise DataError(
                f"{self._shown}: holds more than {self._bounds.total_bytes} bytes of text; if that is right, raise "
                f"{self._bounds.total_key} in data.source.settings"
            )
        if self.is_packed and self._read_bytes > may_swell:
            raise DataError(
                f"{self._shown}: unpacks to more than {self._bounds.ratio} times its size; if that is right, raise "
                "largest_ratio in data.source.settings"
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{self._shown}: its gzip is damaged: {error}; bring it again") from error
        except OSError as error:
            raise StorageError(f"{self._shown}: cannot be read: {error.strerror}") from error


@contextmanager
def opened(path: Path, shown: str, bounds: Bounds) -> Iterator[Stream]:
    """Open a file; raise StorageError if it cannot be read, DataError if it is no regular file."""
    with open_stream(str(path)) as file:
        yield Stream(file, shown, bounds)
