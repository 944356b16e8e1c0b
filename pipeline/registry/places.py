"""A local registry that was moved or copied with its project: where its bytes are now.

MLflow stores absolute locations. A file beside the database, `<database>.ratchet.home`, holds the project's folder at
the last write. If the project is elsewhere now, locations under that folder are read as under the new one; the next
write brings MLflow's own tables up to date, so that MLflow's client and its user interface find the bytes too. So a
copied project publishes into its own folder, and a renamed one keeps its champion.

The tables change in one transaction, before the file. Killed in between, the same is done again, to the same end.
Locations outside the project stay as they are: a place that a user has chosen does not move with it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from pipeline.errors import DataError, StorageError, TryAgain
from pipeline.registry.store import LOCK_TIMEOUT_S, Store, locked
from pipeline.storage.artifacts import write_file

_SUFFIX = ".ratchet.home"
_BUSY_TIMEOUT_S = 30.0
# Where MLflow 3 stores locations, by table. Tables that a version lacks have none.
_LOCATIONS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "model_versions": ("source", "storage_location"),
    "logged_models": ("artifact_location",),
}


def local_folder(location: str) -> Path | None:
    """Return the folder that a location (a path or a URI) names on this machine; None if it is elsewhere."""
    parts = urlsplit(location)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(location) if parts.scheme == "" and location else None


def current(store: Store, location: str) -> str:
    """Return where the bytes are now that were written to a location. Nothing is written."""
    before = _home_before(store)
    return location if before is None or store.home is None else _moved(location, before, store.home, store.artifacts)


@contextmanager
def writing(store: Store, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Hold the store's lock (see `locked`) with the locations in its tables up to date."""
    with locked(store, timeout_s):
        if store.database is not None and store.home is not None:
            before = _home_before(store)
            if before is not None and store.database.exists():
                _rewrite(store, store.database, before, store.home)
            marker = _marker(store.database)
            if _read(marker) != store.home:
                write_file(marker, os.fsencode(store.home))
        yield


def _home_before(store: Store) -> Path | None:
    """Return the project's folder at the last write; None if it is the same, or not known."""
    if store.database is None or store.home is None:
        return None
    before = _read(_marker(store.database)) or _inferred(store, store.database, store.home)
    return before if before != store.home else None


def _marker(database: Path) -> Path:
    return database.with_name(database.name + _SUFFIX)


def _read(marker: Path) -> Path | None:
    try:
        home = Path(os.fsdecode(marker.read_bytes()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"model registry: {marker} cannot be read: {error.strerror}") from error
    if not home.is_absolute():
        raise DataError(f"model registry: {marker} names no folder; write into it where the project was, or remove it")
    return home


def _inferred(store: Store, database: Path, home: Path) -> Path | None:
    """Return the project's folder when a registry without the file was written: one that all experiments agree on.

    It must have had the artifacts in the same place as now, and bytes of a version, if any, must have come along.
    """
    artifacts = local_folder(store.artifacts or "")
    if artifacts is None or not artifacts.is_relative_to(home) or not database.exists():
        return None
    inside = artifacts.relative_to(home)
    with _connection(database, "ro") as connection:
        experiments = _values(connection, "experiments", "artifact_location")
        versions = [
            place for column in _LOCATIONS["model_versions"] for place in _values(connection, "model_versions", column)
        ]
    folders = [folder for location in experiments if (folder := local_folder(location)) and folder.is_absolute()]
    roots = {folder.parent for folder in folders}
    if len(roots) != 1:
        return None
    (root,) = roots
    depth = len(inside.parts)
    if root.parts[-depth:] != inside.parts or len(root.parts) <= depth + 1:
        return None
    before = root.parents[depth - 1]
    moved = [found for location in versions if (found := _moved(location, before, home, store.artifacts)) != location]
    came_along = [local_folder(location) for location in moved]
    return before if not moved or any(folder and folder.is_dir() for folder in came_along) else None


def _moved(location: str, before: Path, now: Path, artifacts: str | None) -> str:
    """Return a location with the project's folder in it exchanged. Applied twice, it is as applied once."""
    for old, new in ((str(before), str(now)), (before.as_uri(), now.as_uri())):
        # One folder may be inside the other: the more exact of the two says where the location is.
        is_new = _is_under(location, new) and not (len(old) > len(new) and _is_under(location, old))
        is_chosen = artifacts is not None and _is_under(location, artifacts)
        if _is_under(location, old) and not is_new and not is_chosen:
            moved = new + location[len(old) :]
            # Of a plain path, MLflow reads `%41` as `A`.
            return Path(moved).as_uri() if "%" in moved and moved.startswith("/") else moved
    return location


def _is_under(location: str, folder: str) -> bool:
    return location == folder or location.startswith(folder.rstrip("/") + "/")


def _rewrite(store: Store, database: Path, before: Path, now: Path) -> None:
    with _connection(database, "rw") as connection:
        connection.create_function(
            "moved",
            1,
            lambda location: _moved(location, before, now, store.artifacts) if location else location,
            deterministic=True,
        )
        for table, columns in _LOCATIONS.items():
            for column in columns:
                if _has(connection, table, column):
                    change = f"UPDATE {table} SET {column} = moved({column}) WHERE {column} <> moved({column})"  # noqa: S608
                    connection.execute(change)
        connection.execute("COMMIT")


def _values(connection: sqlite3.Connection, table: str, column: str) -> list[str]:
    if not _has(connection, table, column):
        return []
    query = f"SELECT DISTINCT {column} FROM {table} WHERE {column} <> ''"  # noqa: S608 - names of _LOCATIONS
    rows = connection.execute(query).fetchall()
    return [value for (value,) in rows]


def _has(connection: sqlite3.Connection, table: str, column: str) -> bool:
    return any(column == name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})"))


@contextmanager
def _connection(database: Path, mode: str) -> Iterator[sqlite3.Connection]:
    try:
        address = f"file:{quote(str(database))}?mode={mode}"
        connection = sqlite3.connect(address, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
        with closing(connection):
            connection.execute("BEGIN" if mode == "ro" else "BEGIN IMMEDIATE")
            yield connection
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise TryAgain(f"model registry: {database} is locked by another process; run again") from error
        raise StorageError(f"model registry: {database} cannot be brought up to date: {error}") from error
    except sqlite3.DatabaseError as error:
        raise StorageError(
            f"model registry: {database} is not a database of MLflow: {error}; "
            "name another in execution.yaml, mlflow.uri"
        ) from error
