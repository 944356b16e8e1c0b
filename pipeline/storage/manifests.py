"""Reads and writes manifests; reading one checks every file against its digest."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import DataError, StorageError
from pipeline.records.manifest import MANIFEST_FILE, FileEntry, Manifest
from pipeline.storage.artifacts import digest_file, read_json
from pipeline.storage.record_files import write_record


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json`: the last file of a data set."""
    write_record(folder / MANIFEST_FILE, manifest)


def read_manifest(folder: Path, *, verify: bool = True) -> Manifest:
    """Read a data set's manifest and, unless `verify` is false, check every file against its digest.

    Raises StorageError if the manifest cannot be read, DataError if its digest, its rows or the digest of a listed file
    do not match.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise StorageError(f"{path}: missing, so {folder} was never published whole; run `dvc repro` to make it again")
    value = read_json(path)
    manifest = Manifest.from_json(value, str(path))
    if value.get("digest") != manifest.digest:
        raise DataError(f"{path}: its digest does not match what it lists; the file was changed by hand or damaged")
    if manifest.rows != (listed := sum(entry.rows for entry in manifest.files)):
        raise DataError(f"{path}: says {manifest.rows} rows, but its files have {listed}; run `dvc repro` again")
    if verify:
        for entry in manifest.files:
            verify_file(folder, entry)
    return manifest


def verify_file(folder: Path, entry: FileEntry) -> None:
    """Raise DataError unless the file is in `folder` with the size and the digest that its entry declares."""
    path = folder / entry.path
    if not path.is_file():
        raise DataError(f"{path}: listed in {folder / MANIFEST_FILE} but missing; run `dvc checkout` or `dvc repro`")
    if path.stat().st_size != entry.size_bytes or digest_file(path) != entry.digest:
        raise DataError(
            f"{path}: its bytes do not match the digest in {folder / MANIFEST_FILE}; remove it and run again"
        )
