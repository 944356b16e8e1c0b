"""How an artifact is published and trusted: whole or not at all, and never without its digests.

Publication is write aside in the same folder, fsync, rename, fsync the folder; in a data set the manifest is written
last. A reader checks the manifest's digests before it trusts a file. Everything here is a function of the content: no
times, no host names, no temporary names end up in what is written.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, StorageError

MANIFEST_NAME = "manifest.json"
_MANIFEST_LIMIT_BYTES = 64 * 2**20


@dataclass(frozen=True)
class FileEntry:
    """One file of a data set: its path inside the set, its rows, its size and the digest of its bytes."""

    path: str
    rows: int
    size_bytes: int
    digest: str


@dataclass(frozen=True)
class Manifest:
    """What a data set holds.

    `schema` maps each column to its type. `counts` holds whatever the stage that made the set wants to be counted (rows
    per class, rows rejected by reason …); it must be JSON and a function of the content alone.
    """

    rows: int
    files: tuple[FileEntry, ...]
    schema: Mapping[str, str]
    counts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The identity of the data set: a digest over its schema and its files' digests."""
        return digest_json([dict(self.schema), [[f.path, f.rows, f.digest] for f in self.files]])

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as it stands in `manifest.json`."""
        return {
            "rows": self.rows,
            "digest": self.digest,
            "files": [vars(entry) for entry in self.files],
            "schema": dict(self.schema),
            "counts": dict(self.counts),
        }


def digest_bytes(content: bytes) -> str:
    """Return `sha256:<hex>` of the bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def digest_file(path: Path) -> str:
    """Return `sha256:<hex>` of a file's bytes."""
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()


def digest_json(value: Any) -> str:
    """Return `sha256:<hex>` of the canonical JSON of a value (sorted keys, no blanks)."""
    return digest_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())


def dump_json(value: Any) -> bytes:
    """Return the JSON that Ratchet writes everywhere: indented, keys in the given order, no NaN, final newline."""
    return (json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()


def read_json(path: Path, *, limit_bytes: int = _MANIFEST_LIMIT_BYTES) -> Any:
    """Read a JSON file; raise DataError if it is larger than `limit_bytes` or not JSON, StorageError if unreadable."""
    try:
        if path.stat().st_size > limit_bytes:
            raise DataError(f"{path}: larger than {limit_bytes} bytes; this is not a file Ratchet wrote")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON: {error}") from error


def write_file(path: Path, content: bytes) -> None:
    """Publish one file atomically: a reader sees the old content or the new one, never a part."""
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
        with suppress(OSError):  # the first error is the one to tell
            aside.unlink(missing_ok=True)
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from error


def is_disk_full(folder: Path) -> bool:
    """Say whether the disk that holds a folder has less than a MiB left for us."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize < 2**20


def write_json(path: Path, value: Any) -> None:
    """Publish a value as a JSON file, atomically."""
    write_file(path, dump_json(value))


@contextmanager
def published_folder(target: Path) -> Iterator[Path]:
    """Give a folder to write into; publish it as `target` when the block ends well, remove it when it does not.

    The folder written aside has a fixed name beside the target, so the next run sweeps what a killed one left.
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


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json`: the last file of a data set."""
    write_json(folder / MANIFEST_NAME, manifest.to_json())


def read_manifest(folder: Path, *, verify: bool = True) -> Manifest:
    """Read a data set's manifest and, unless told otherwise, check every file against its digest.

    Raises StorageError if the manifest cannot be read and DataError if it, or a file it names, is not what it says.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise StorageError(f"{path}: missing, so {folder} was never published whole; run `dvc repro` to make it again")
    value = read_json(path)
    try:
        manifest = Manifest(
            rows=value["rows"],
            files=tuple(FileEntry(**entry) for entry in value["files"]),
            schema=value["schema"],
            counts=value.get("counts", {}),
        )
        declared = value["digest"]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: not a manifest: {error}") from error
    if declared != manifest.digest:
        raise DataError(f"{path}: its digest does not match what it lists; the file was changed by hand or damaged")
    if verify:
        for entry in manifest.files:
            verify_file(folder, entry)
    return manifest


def verify_file(folder: Path, entry: FileEntry) -> None:
    """Raise DataError unless the file stands in `folder` with the size and the digest its entry declares."""
    path = folder / entry.path
    if not path.is_file():
        raise DataError(f"{path}: listed in {folder / MANIFEST_NAME} but missing; run `dvc checkout` or `dvc repro`")
    if path.stat().st_size != entry.size_bytes or digest_file(path) != entry.digest:
        raise DataError(
            f"{path}: its bytes do not match the digest in {folder / MANIFEST_NAME}; remove it and run again"
        )


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
