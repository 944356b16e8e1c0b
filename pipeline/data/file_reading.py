"""The one place where a source opens a file. Local files now; addresses of other stores would be opened here."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

from pipeline.data.problems import CHANGED, EMPTY, FILE_TOO_LARGE, NOT_A_FILE, UNREADABLE
from pipeline.errors import DataError, StorageError

Problem = tuple[str, str | None]  # one of `problems.PROBLEMS`, and what exactly

# Never through a link that has come since the folder was walked, and never waiting for who writes into a FIFO.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_whole(path: str, largest_bytes: int) -> bytes | Problem:
    """Return a regular file's bytes, or why they cannot be had: a file that changes while it is read counts for none.

    At most `largest_bytes` are read.
    """
    try:
        with open(os.open(path, _FLAGS), "rb", buffering=0) as file:  # noqa: PTH123 - by its descriptor
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                return NOT_A_FILE, None
            if before.st_size > largest_bytes:
                return FILE_TOO_LARGE, f"{before.st_size} bytes, at most {largest_bytes} are read"
            content = file.read(before.st_size + 1) if before.st_size else b""
            while len(content) < before.st_size and (more := file.read(before.st_size + 1 - len(content))):
                content += more
            after = os.fstat(file.fileno())
    except OSError as error:
        return UNREADABLE, error.strerror
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(content) != before.st_size:
        return CHANGED, f"it had {before.st_size} bytes before, {after.st_size} after"
    return content if content else (EMPTY, None)


def open_stream(path: str) -> BinaryIO:
    """Open a regular file for reading piece by piece; raise StorageError if it cannot be, DataError if it is none."""
    try:
        file = open(os.open(path, _FLAGS & ~os.O_NOFOLLOW), "rb")  # noqa: PTH123, SIM115 - the caller closes it
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise DataError(f"{path}: no regular file")
    return file


def read_text_file(path: str, what: str, largest_bytes: int) -> bytes:
    """Return the bytes of a file that says something about all others (`what`); raise DataError if it cannot be had."""
    read = read_whole(os.path.realpath(path), largest_bytes)
    if isinstance(read, bytes):
        return read
    problem, detail = read
    raise DataError(f"{path}: {what}: {problem}{f': {detail}' if detail else ''}")
