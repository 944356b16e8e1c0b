"""A registry as MLflow keeps one on this machine: its tables, as far as Ratchet reads them, filled by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from pipeline.recipe.execution import MLflowSettings
from pipeline.registry.reader import Reader, open_reader
from pipeline.registry.store import resolve_store
from pipeline.registry.versions import DIGEST

_TABLES = """
    CREATE TABLE experiments (name TEXT, artifact_location TEXT);
    CREATE TABLE runs (run_uuid TEXT, artifact_uri TEXT);
    CREATE TABLE registered_models (workspace TEXT, name TEXT);
    CREATE TABLE model_versions (workspace TEXT, name TEXT, version INTEGER, creation_time INTEGER, run_id TEXT,
        current_stage TEXT, storage_location TEXT, source TEXT);
    CREATE TABLE model_version_tags (workspace TEXT, name TEXT, version INTEGER, key TEXT, value TEXT);
    CREATE TABLE registered_model_tags (workspace TEXT, name TEXT, key TEXT, value TEXT);
    CREATE TABLE registered_model_aliases (workspace TEXT, name TEXT, alias TEXT, version INTEGER);
"""


class LocalRegistry:
    """The registry of the checkout in a folder."""

    def __init__(self, root: Path) -> None:
        self.store = resolve_store(
            root, MLflowSettings(uri="sqlite:///registry/mlflow.db", artifacts="registry/artifacts")
        )
        assert self.store.database is not None
        self.database = self.store.database
        self.database.parent.mkdir(parents=True)
        self.execute(_TABLES)

    @property
    def reader(self) -> Reader:
        """Ask as the commands do."""
        return open_reader(self.store)

    def execute(self, statements: str) -> None:
        """Run SQL."""
        with closing(self._connect()) as connection:
            connection.executescript(statements)

    def add(
        self,
        number: int,
        digest: str = "",
        *,
        name: str = "pets",
        aliases: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        location: str = "",
        stage: str = "None",
        workspace: str = "default",
    ) -> None:
        """Add a version, as somebody may have registered it."""
        kept = {**({DIGEST: digest} if digest else {}), **(tags or {})}
        with closing(self._connect()) as connection, connection:
            connection.execute(
                "INSERT INTO registered_models SELECT :workspace, :name WHERE NOT EXISTS"
                " (SELECT 1 FROM registered_models WHERE workspace = :workspace AND name = :name)",
                {"workspace": workspace, "name": name},
            )
            connection.execute(
                "INSERT INTO model_versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (workspace, name, number, 1_764_000_000_000 + number, f"run-{number}", stage, None, location),
            )
            connection.executemany(
                "INSERT INTO model_version_tags VALUES (?, ?, ?, ?, ?)",
                [(workspace, name, number, key, value) for key, value in kept.items()],
            )
            connection.executemany(
                "INSERT INTO registered_model_aliases VALUES (?, ?, ?, ?)",
                [(workspace, name, alias, number) for alias in aliases],
            )

    def numbers(self, name: str) -> list[int]:
        """Return the numbers of all versions that there ever were."""
        with closing(self._connect()) as connection:
            rows = connection.execute("SELECT version FROM model_versions WHERE name = ?", (name,)).fetchall()
        return [int(number) for (number,) in rows]

    def tag(self, name: str, key: str, text: str) -> None:
        """Tag a registered model, as somebody may have done it."""
        with closing(self._connect()) as connection, connection:
            connection.execute("DELETE FROM registered_model_tags WHERE name = ? AND key = ?", (name, key))
            connection.execute("INSERT INTO registered_model_tags VALUES ('default', ?, ?, ?)", (name, key, text))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.database)
        connection.execute("PRAGMA synchronous = OFF")  # nothing here waits for the disk
        return connection
