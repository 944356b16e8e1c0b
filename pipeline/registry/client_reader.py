"""Reads any registry through MLflow's own client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.registry.store import Store
from pipeline.registry.tracking import failures_named, open_client
from pipeline.registry.versions import DIGEST, Version, as_utc


class ClientReader:
    """Reads through MLflow's own client: any store that it supports."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._client = open_client(store)

    def names(self) -> list[str]:
        """Return the registered models' names."""
        with failures_named(self._store):
            return sorted(model.name for model in _all(self._client.search_registered_models))

    def model_tags(self, name: str) -> dict[str, str]:
        """Return the tags of a registered model, not of its versions."""
        found = self._found(lambda: self._client.get_registered_model(name))
        return dict(found.tags) if found else {}

    def versions(self, name: str, digest: str | None = None) -> list[Version]:
        """Return a model's versions, oldest first; only those of a digest if one is given."""
        if "'" in name:
            return []  # no name of ours; it would end the condition
        condition = f"name='{name}'" + (f" AND tags.`{DIGEST}` = '{digest}'" if digest else "")
        with failures_named(self._store):
            entries = _all(self._client.search_model_versions, filter_string=condition)
            aliases = self._client.get_registered_model(name).aliases if entries else {}
            return sorted((_version(entry, aliases) for entry in entries), key=lambda version: version.version)

    def version(self, name: str, number: int) -> Version | None:
        """Return one version."""
        return self._version(lambda: self._client.get_model_version(name, str(number)))

    def by_alias(self, name: str, alias: str) -> Version | None:
        """Return the version an alias points to."""
        return self._version(lambda: self._client.get_model_version_by_alias(name, alias))

    def location(self, version: Version) -> str:
        """Return where a version's bytes are."""
        with failures_named(self._store):
            return str(self._client.get_model_version_download_uri(version.name, str(version.version)))

    def _version(self, ask: Callable[[], Any]) -> Version | None:
        entry = self._found(ask)
        model = self._found(lambda: self._client.get_registered_model(entry.name)) if entry else None
        return _version(entry, model.aliases) if model else None

    def _found(self, ask: Callable[[], Any]) -> Any:
        """Return what is asked for; None if the store says that it does not exist."""
        from mlflow.exceptions import MlflowException

        with failures_named(self._store):
            try:
                return ask()
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise


def _version(entry: Any, aliases: Mapping[str, Any]) -> Version:
    return Version(
        name=entry.name,
        version=int(entry.version),
        created_at_utc=as_utc(int(entry.creation_timestamp)),
        run_id=entry.run_id or "",
        tags=dict(entry.tags),
        aliases=tuple(sorted(alias for alias, number in aliases.items() if int(number) == int(entry.version))),
    )


def _all(search: Any, **query: Any) -> list[Any]:
    entries: list[Any] = []
    token = None
    while True:
        page = search(page_token=token, **query)
        entries += page
        token = page.token
        if not token:
            return entries
