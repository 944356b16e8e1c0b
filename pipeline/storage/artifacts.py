"""How an artifact is published and verified: whole or not at all, and never without its digests.

To publish is to write aside in the same folder, fsync, rename, and fsync the folder; the manifest of a data set is
written last. A reader checks the manifest's digests before it trusts a file. What is written is a function of the
content alone: it contains no times, host names or temporary names.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, StorageError

_MANIFEST_LIMIT_BYTES = 64 * 2**20


def digest_file(path: Path) -> str:
    """Return `sha256:<hex>` of a file's bytes."""
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()


def dump_json(value: Any) -> bytes:
    """Return the JSON that Ratchet writes everywhere: indented, keys in the given order, no NaN, final newline."""
    return (json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()


def read_json(path: Path, *, limit_bytes: int = _MANIFEST_LIMIT_BYTES) -> Any:
    """Read a JSON file; raise DataError if it is larger than `limit_bytes` or not JSON, StorageError if unreadable."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise DataError(f"{path}: no regular file, so it may never end; remove it")
        if status.st_size > limit_bytes:
            raise DataError(f"{path}: larger than {limit_bytes} bytes; this is not a file Ratchet wrote")
        return json.loads(path.read_bytes(), object_pairs_hook=_without_duplicates)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON: {error}") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key '{next(key for key in keys if keys.count(key) > 1)}' appears twice")
    return values


def read_text(path: Path) -> str:
    """Read a text file in UTF-8; raise StorageError if it cannot be read, DataError if it is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text: {error}") from error


def write_file(path: Path, content: bytes) -> None:
    """Publish one file atomically: a reader sees all of the old content or all of the new."""
    aside = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(path)
        fsync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):  # the first error is the one to report
            aside.unlink(missing_ok=True)
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from error


def is_disk_full(folder: Path) -> bool:
    """Return whether the disk that holds a folder has less than a MiB left for this user."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize < 2**20


def write_json(path: Path, value: Any) -> None:
    """Publish a value as a JSON file, atomically."""
    write_file(path, dump_json(value))


@contextmanager
def published_folder(target: Path) -> Iterator[Path]:
    """Yield a folder to write into; publish it as `target` if the block succeeds, remove it if it raises.

    The folder has a fixed name beside the target, so the next run removes what a killed one left behind.
    """
    aside = target.with_name(f".{target.name}.partial")
    try:
        if aside.exists():
            shutil.rmtree(aside)
        aside.mkdir(parents=True)
    except OSError as error:
        raise StorageError(f"{target}: cannot be written: {error.strerror}") from error
    try:
        yield aside
        for path in sorted(aside.rglob("*"), reverse=True):
            fsync_folder(path) if path.is_dir() else _fsync_file(path)
        fsync_folder(aside)
        if target.exists():
            shutil.rmtree(target)
        aside.rename(target)
        fsync_folder(target.parent)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise StorageError(f"{target}: cannot be written: {error.strerror or error}") from error
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def fsync_folder(folder: Path) -> None:
    """Make a folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fsync_file(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
