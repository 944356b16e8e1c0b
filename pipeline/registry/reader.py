"""The queries that Ratchet makes to a registry, and the quickest reader for a store."""

from __future__ import annotations

from typing import Protocol

from pipeline.errors import UsageError, nearest
from pipeline.records.identity import Identity
from pipeline.registry.store import Store
from pipeline.registry.versions import CHAMPION, Version

_LONGEST_NUMBER = 18  # digits that a registry's numbers can have (SQLite: 64 bits)


class Reader(Protocol):
    """The queries that Ratchet makes to a registry. An unknown name or version is an empty answer, not an error."""

    def names(self) -> list[str]:
        """Return the registered models' names."""

    def model_tags(self, name: str) -> dict[str, str]:
        """Return the tags of a registered model, not of its versions."""

    def versions(self, name: str, digest: str | None = None) -> list[Version]:
        """Return a model's versions, oldest first; only those of a digest if one is given."""

    def version(self, name: str, number: int) -> Version | None:
        """Return one version."""

    def by_alias(self, name: str, alias: str) -> Version | None:
        """Return the version an alias points to."""

    def location(self, version: Version) -> str:
        """Return where a version's bytes are: a path or a URI. The bytes are not to be trusted: see `fetch`."""


def open_reader(store: Store) -> Reader:
    """Return the quickest reader for the store. Raises StorageError if the store cannot be reached."""
    if store.database is not None:
        from pipeline.registry.sqlite_reader import SQLiteReader

        return SQLiteReader(store, store.database, lambda: _client_reader(store))
    if store.is_server:
        from pipeline.registry import rest_reader

        if rest_reader.is_plain():
            return rest_reader.RestReader(store)
    return _client_reader(store)


def champion_of(reader: Reader, name: str) -> Version | None:
    """Return the version that is champion, if any."""
    return reader.by_alias(name, CHAMPION)


def find(reader: Reader, identity: Identity) -> Version | None:
    """Return the version that has this identity, unless it is gone or is another model now."""
    version = reader.version(identity.name, identity.version)
    return version if version is not None and version.identity == identity else None


def with_digest(reader: Reader, name: str, digest: str) -> Version | None:
    """Return the first version that holds the model of this digest, if any."""
    found = reader.versions(name, digest)
    return found[0] if found else None


def version_named(reader: Reader, name: str, which: str) -> Version:
    """Return a version by number (`3`, `v3`) or alias (`champion`); raise UsageError if there is none."""
    number = which.removeprefix("v")
    if number.isdecimal():
        found = reader.version(name, int(number)) if len(number) <= _LONGEST_NUMBER else None
    else:
        found = reader.by_alias(name, which)
    if found is None:
        raise UsageError(no_version(reader, name, which))
    return found


def no_version(reader: Reader, name: str, what: str) -> str:
    """Return one line saying that a model has no such version, and which ones it has."""
    versions = reader.versions(name)
    if not versions:
        return f"model registry: no registered model '{name}'{nearest(name, reader.names())}; `ratchet registry list`"
    known = ", ".join(str(version.version) for version in versions[-10:])
    return f"model registry: {name} has no version '{what}' (it has {known}); see `ratchet registry list`"


def _client_reader(store: Store) -> Reader:
    from pipeline.registry.client_reader import ClientReader

    return ClientReader(store)
