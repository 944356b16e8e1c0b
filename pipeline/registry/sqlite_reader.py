"""Reads a local registry with SQL on MLflow's own tables, without importing MLflow, whose import alone takes seconds.

Tables unlike MLflow 3's are left to MLflow's own client. A test checks that all readers agree. Nothing here writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipeline.errors import StorageError, TryAgain
from pipeline.registry.places import current
from pipeline.registry.store import Store
from pipeline.registry.versions import DIGEST, Version, as_utc

if TYPE_CHECKING:
    from pipeline.registry.reader import Reader

_BUSY_TIMEOUT_S = 30.0
_SELECT_VERSIONS = """
    SELECT version, creation_time, run_id FROM model_versions
    WHERE workspace = 'default' AND name = :name AND current_stage <> 'Deleted_Internal'
      AND (:version IS NULL OR version = :version)
      AND (:alias IS NULL OR version = (
        SELECT version FROM registered_model_aliases
        WHERE workspace = 'default' AND name = :name AND alias = :alias))
      AND (:digest IS NULL OR version IN (
        SELECT version FROM model_version_tags
        WHERE workspace = 'default' AND name = :name AND key = :digest_tag AND value = :digest))
    ORDER BY version
"""
_SELECT_TAGS = """
    SELECT version, key, value FROM model_version_tags
    WHERE workspace = 'default' AND name = :name AND (:version IS NULL OR version = :version)
"""
_SELECT_MODEL_TAGS = "SELECT key, value FROM registered_model_tags WHERE workspace = 'default' AND name = :name"
_SELECT_ALIASES = "SELECT version, alias FROM registered_model_aliases WHERE workspace = 'default' AND name = :name"


class SQLiteReader:
    """Reads MLflow's own tables, read-only."""

    def __init__(self, store: Store, database: Path, fall_back: Callable[[], Reader]) -> None:
        self._store = store
        self._database = database
        self._fall_back = fall_back

    def names(self) -> list[str]:
        """Return the registered models' names."""
        if not self._database.exists():
            return []
        try:
            with self._connection() as connection:
                rows = connection.execute(
                    "SELECT name FROM registered_models WHERE workspace = 'default' ORDER BY name"
                ).fetchall()
        except _AnotherSchema:
            return self._fall_back().names()
        return [name for (name,) in rows]

    def model_tags(self, name: str) -> dict[str, str]:
        """Return the tags of a registered model, not of its versions."""
        if not self._database.exists():
            return {}
        try:
            with self._connection() as connection:
                rows = connection.execute(_SELECT_MODEL_TAGS, {"name": name}).fetchall()
        except _AnotherSchema:
            return self._fall_back().model_tags(name)
        return {key: value or "" for key, value in rows}

    def versions(self, name: str, digest: str | None = None) -> list[Version]:
        """Return a model's versions, oldest first; only those of a digest if one is given."""
        found = self._select(name, digest=digest)
        return self._fall_back().versions(name, digest) if found is None else found

    def version(self, name: str, number: int) -> Version | None:
        """Return one version."""
        found = self._select(name, version=number)
        return self._fall_back().version(name, number) if found is None else _first(found)

    def by_alias(self, name: str, alias: str) -> Version | None:
        """Return the version an alias points to."""
        found = self._select(name, alias=alias)
        return self._fall_back().by_alias(name, alias) if found is None else _first(found)

    def location(self, version: Version) -> str:
        """Return where a version's bytes are: with the project, wherever it was moved."""
        try:
            with self._connection() as connection:
                rows = connection.execute(
                    "SELECT COALESCE(storage_location, source) FROM model_versions"
                    " WHERE workspace = 'default' AND name = ? AND version = ?",
                    (version.name, version.version),
                ).fetchall()
        except _AnotherSchema:
            return current(self._store, self._fall_back().location(version))
        return current(self._store, str(rows[0][0])) if rows else ""

    def _select(
        self, name: str, *, digest: str | None = None, version: int | None = None, alias: str | None = None
    ) -> list[Version] | None:
        """Return the versions that match what is given; None if the tables are not those of MLflow 3."""
        if not self._database.exists():
            return []
        query = {"name": name, "digest_tag": DIGEST, "digest": digest, "version": version, "alias": alias}
        try:
            with self._connection() as connection:
                rows = connection.execute(_SELECT_VERSIONS, query).fetchall()
                only = rows[0][0] if len(rows) == 1 else None
                tags = _by_version(connection.execute(_SELECT_TAGS, {"name": name, "version": only}))
                aliases = connection.execute(_SELECT_ALIASES, {"name": name}).fetchall()
        except _AnotherSchema:
            return None
        return [
            Version(
                name=name,
                version=number,
                created_at_utc=as_utc(created_ms),
                run_id=run_id or "",
                tags=tags.get(number, {}),
                aliases=tuple(sorted(alias for other, alias in aliases if other == number)),
            )
            for number, created_ms, run_id in rows
        ]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            address = f"file:{quote(str(self._database))}?mode=ro"
            with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_TIMEOUT_S)) as connection:
                connection.execute("BEGIN")  # one snapshot for all queries
                yield connection
        except sqlite3.OperationalError as error:
            if "no such" in str(error):  # table or column
                raise _AnotherSchema from error
            if "locked" in str(error):
                raise TryAgain(f"model registry: {self._database} is locked by another process; run again") from error
            raise StorageError(f"model registry: {self._database} cannot be read: {error}") from error
        except sqlite3.DatabaseError as error:
            raise StorageError(
                f"model registry: {self._database} is not a database of MLflow: {error}; "
                "name another in execution.yaml, mlflow.uri"
            ) from error


class _AnotherSchema(Exception):
    """The tables are not those that this module knows."""


def _by_version(rows: Iterable[tuple[int, str, str | None]]) -> dict[int, dict[str, str]]:
    tags: dict[int, dict[str, str]] = {}
    for number, key, value in rows:
        tags.setdefault(number, {})[key] = value or ""
    return tags


def _first(versions: list[Version]) -> Version | None:
    return versions[0] if versions else None
