"""MLflow's client as far as Ratchet moves champions and writes tags with it, on the tables of a local registry."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from tests.registry.local_registry import LocalRegistry


class Client:
    """Writes what it is told, as MLflow does: whatever was there, and each call whole or not at all."""

    def __init__(self, registry: LocalRegistry) -> None:
        self._registry = registry

    def set_model_version_tag(self, name: str, version: str, key: str, text: str) -> None:
        where = (name, int(version), key)
        self._write(
            ("DELETE FROM model_version_tags WHERE name = ? AND version = ? AND key = ?", where),
            ("INSERT INTO model_version_tags VALUES ('default', ?, ?, ?, ?)", (*where, text)),
        )

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        where = (name, int(version), key)
        self._write(("DELETE FROM model_version_tags WHERE name = ? AND version = ? AND key = ?", where))

    def set_registered_model_tag(self, name: str, key: str, text: str) -> None:
        self._write(
            ("DELETE FROM registered_model_tags WHERE name = ? AND key = ?", (name, key)),
            ("INSERT INTO registered_model_tags VALUES ('default', ?, ?, ?)", (name, key, text)),
        )

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        self._write(
            ("DELETE FROM registered_model_aliases WHERE name = ? AND alias = ?", (name, alias)),
            ("INSERT INTO registered_model_aliases VALUES ('default', ?, ?, ?)", (name, alias, int(version))),
        )

    def _write(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        with closing(sqlite3.connect(self._registry.database)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")
            for statement, values in statements:
                connection.execute(statement, values)
