"""The tables of MLflow, read without it. That they are MLflow's, and that all readers agree: tests/system."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import StorageError
from pipeline.registry.reader import Reader, champion_of, no_version, with_digest
from pipeline.registry.sqlite_reader import SQLiteReader
from tests.registry.local_registry import LocalRegistry


@pytest.fixture
def filled(registry: LocalRegistry) -> Reader:
    registry.add(2, "sha256:two", aliases=["shadow", "champion"], location="/bytes/2")
    registry.add(1, "sha256:one", tags={"ratchet.outcome": "refuse"})
    registry.add(3, "sha256:two")
    registry.add(4, stage="Deleted_Internal")
    registry.add(9, "sha256:two", workspace="another", aliases=["champion"])
    registry.add(1, name="plants")
    return registry.reader


def test_versions_come_oldest_first_without_those_that_were_deleted(filled: Reader) -> None:
    assert [version.version for version in filled.versions("pets")] == [1, 2, 3]


def test_a_version_has_its_own_tags_and_aliases(filled: Reader) -> None:
    first, second, _ = filled.versions("pets")
    assert (first.digest, first.outcome, first.aliases, first.run_id) == ("sha256:one", "refuse", (), "run-1")
    assert (second.digest, second.aliases, second.is_champion) == ("sha256:two", ("champion", "shadow"), True)
    assert second.created_at_utc == "2025-11-24T16:00:00Z"


def test_one_version_is_found_by_its_number_its_alias_and_its_digest(filled: Reader) -> None:
    numbered, champion, same = (
        filled.version("pets", 2),
        champion_of(filled, "pets"),
        with_digest(filled, "pets", "sha256:two"),
    )
    assert numbered == champion == same
    assert numbered is not None


def test_what_is_not_there_is_an_empty_answer(filled: Reader) -> None:
    assert filled.version("pets", 4) is None
    assert filled.by_alias("pets", "challenger") is None
    assert with_digest(filled, "pets", "sha256:none") is None
    assert filled.versions("pet") == []


def test_names_are_those_of_the_models(filled: Reader) -> None:
    assert filled.names() == ["pets", "plants"]


def test_a_models_own_tags_are_none_of_its_versions(registry: LocalRegistry, filled: Reader) -> None:
    registry.tag("pets", "ratchet.ledger.000001", "{}")
    assert filled.model_tags("pets") == {"ratchet.ledger.000001": "{}"}
    assert filled.model_tags("plants") == filled.model_tags("stones") == {}


def test_where_the_bytes_lie_is_what_mlflow_was_told(filled: Reader) -> None:
    version = filled.version("pets", 2)
    assert version is not None
    assert filled.location(version) == "/bytes/2"


def test_a_name_cannot_end_the_condition_it_stands_in(filled: Reader) -> None:
    assert filled.versions("x' OR name='pets") == []


def test_an_unknown_name_or_number_is_told_with_what_there_is(filled: Reader) -> None:
    assert "no registered model 'pet' (did you mean 'pets'?)" in no_version(filled, "pet", "1")
    assert "pets has no version '8' (it has 1, 2, 3)" in no_version(filled, "pets", "8")


def test_without_a_database_there_is_nothing(registry: LocalRegistry) -> None:
    registry.database.unlink()
    assert registry.reader.names() == registry.reader.versions("pets") == []
    assert not registry.database.exists()


def test_a_file_that_is_no_database_is_named(registry: LocalRegistry) -> None:
    registry.database.write_bytes(b"not a database" * 100)
    with pytest.raises(StorageError, match=r"mlflow\.db is not a database of MLflow"):
        registry.reader.versions("pets")


@pytest.fixture
def falling_back(registry: LocalRegistry, tmp_path: Path) -> SQLiteReader:
    """A reader of tables that MLflow has changed, which has another registry to fall back on."""
    other = LocalRegistry(tmp_path / "other")
    other.add(7, "sha256:seven", aliases=["champion"], location="/bytes/7")
    with closing(sqlite3.connect(registry.database)) as connection:
        for table in ("registered_models", "model_versions"):
            connection.execute(f"ALTER TABLE {table} RENAME COLUMN workspace TO tenant")
    return SQLiteReader(registry.store, registry.database, lambda: other.reader)


def test_tables_of_another_schema_are_left_to_mlflow(falling_back: SQLiteReader) -> None:
    version = falling_back.version("pets", 7)
    assert version is not None
    assert falling_back.versions("pets") == [version]
    assert falling_back.by_alias("pets", "champion") == version
    assert falling_back.names() == ["pets"]
    assert falling_back.location(version) == "/bytes/7"
