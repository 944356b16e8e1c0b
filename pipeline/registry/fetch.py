"""Fetches a version's two files from the registry, and trusts them only if they have the version's digest.

Plain folders, and files that an MLflow server serves itself, are read without MLflow; all others by MLflow's client.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from pipeline.errors import DataError, StorageError
from pipeline.models import stored
from pipeline.records.architecture import MODEL_FILES
from pipeline.records.model_card import CARD_FILE, ModelCard
from pipeline.registry.places import local_folder
from pipeline.registry.reader import Reader
from pipeline.registry.rest_reader import RestReader
from pipeline.registry.store import Store
from pipeline.registry.versions import CARD, JUDGED_BY, MISSING, Version
from pipeline.storage.artifacts import digest_file
from pipeline.storage.judged_rows import JUDGED_BY_FILE
from pipeline.storage.record_files import read_record

_FILE_LIMIT_BYTES = 16 * 2**30
_CHUNK_BYTES = 2**20


def fetch(store: Store, reader: Reader, version: Version, target: Path) -> None:
    """Copy a version's architecture and weights into the folder `target` and check them against its digest.

    Raises DataError, with a sentence that contains no path, if they are gone, damaged or not Ratchet's; StorageError if
    the store cannot be reached.
    """
    named = f"{version.name} v{version.version}"
    if not version.digest:
        raise DataError(f"{named} was not registered by Ratchet, so it has no digest to be trusted by")
    fetch_files(store, reader, reader.location(version), target, named)
    if digest_of(target) != version.digest:
        raise DataError(f"{named} is damaged: its files no longer have the digest they were registered with")


def fetch_judged_by(store: Store, reader: Reader, version: Version, target: Path) -> bool:
    """Copy the list of the test rows that a version was judged by into a folder; return whether there is a whole one.

    It decides nothing, so one that is gone, damaged or cannot be had is none.
    """
    digest = version.tags.get(JUDGED_BY, MISSING).partition(" ")[2]
    if not digest:
        return False
    path = target / JUDGED_BY_FILE
    named = f"{version.name} v{version.version}"
    try:
        fetch_files(store, reader, reader.location(version), target, named, (JUDGED_BY_FILE,))
        if digest_file(path) == digest:
            return True
    except (DataError, StorageError, OSError):
        pass
    path.unlink(missing_ok=True)
    return False


def fetch_card(store: Store, reader: Reader, version: Version) -> ModelCard | None:
    """Return the card of a version, with its number; None of one that an earlier Ratchet has published.

    Raises DataError if it is gone or is not the one that was registered, StorageError if the store cannot be reached.
    """
    digest, named = version.tags.get(CARD), f"{version.name} v{version.version}"
    if digest is None:
        return None
    with tempfile.TemporaryDirectory(prefix="ratchet-") as folder:
        path = Path(folder) / CARD_FILE
        fetch_files(store, reader, reader.location(version), path.parent, named, (CARD_FILE,))
        if digest_file(path) != digest:
            raise DataError(f"{named} is damaged: its model card is no longer the one it was registered with")
        return read_record(path, ModelCard).changed(version=version.version)


def fetch_files(
    store: Store, reader: Reader, location: str, target: Path, named: str, names: Sequence[str] = MODEL_FILES
) -> None:
    """Copy files, those of a stored model if no others are named, from a location into the folder `target`, unchecked.

    Errors as `fetch`.
    """
    folder = local_folder(location)
    parts = urlsplit(location)
    target.mkdir(parents=True, exist_ok=True)
    if folder is not None:
        _copy_folder(folder, target, named, names)
    elif isinstance(reader, RestReader) and parts.scheme == "mlflow-artifacts" and not parts.netloc:
        for name in names:
            with reader.open_artifact(f"{unquote(parts.path)}/{name}") as stream:
                _copy_stream(stream, target / name, named)
    else:
        from pipeline.registry import tracking

        scratch = target / ".download"
        for name in names:
            shutil.move(tracking.download(store, f"{location.rstrip('/')}/{name}", scratch), target / name)
        shutil.rmtree(scratch)


def digest_of(folder: Path) -> str:
    """Return the digest of a stored model, or "" if the folder does not hold a whole one."""
    try:
        return stored.digest(folder)
    except (DataError, StorageError):
        return ""


def _copy_folder(folder: Path, target: Path, named: str, names: Sequence[str]) -> None:
    for name in names:
        try:
            with (folder / name).open("rb") as stream:
                _copy_stream(stream, target / name, named)
        except FileNotFoundError as error:
            raise DataError(f"{named} is damaged: {name} is no longer in the registry") from error
        except OSError as error:
            raise StorageError(f"model registry: {folder / name} cannot be read: {error.strerror}") from error


def _copy_stream(stream: IO[bytes], path: Path, named: str) -> None:
    size_bytes = 0
    with path.open("wb") as output:
        while chunk := stream.read(_CHUNK_BYTES):
            size_bytes += len(chunk)
            if size_bytes > _FILE_LIMIT_BYTES:
                raise DataError(f"{named} is damaged: {path.name} is above {_FILE_LIMIT_BYTES} bytes")
            output.write(chunk)
