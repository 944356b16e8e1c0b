"""MLflow's own client, opened quietly, and its failures as one line each. The one module that imports MLflow."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.errors import StorageError
from pipeline.registry.records import CHAMPION, DIGEST, Version, as_utc
from pipeline.registry.store import Store

# No calls home, no questions to git, no environment variables in what is logged; a dead server is noticed in seconds.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
}
_LEFT_S = 3600.0  # a database in the making that is older was left by a process that was killed


def prepare() -> None:
    """Set what MLflow reads from the environment when it is imported, unless the user has."""
    for variable, value in _ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)


def open_client(store: Store) -> Any:
    """Return a MlflowClient of the store; a local store that does not exist yet is made. Raises StorageError."""
    prepare()
    with failures_named(store):
        import mlflow
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        # Logged models, pip requirements and `models:/` addresses ask the global store, not the client's.
        if store.database is not None and not store.database.exists():
            _make(store.database, store.artifacts)
        mlflow.set_tracking_uri(store.uri)
        mlflow.set_registry_uri(store.uri)
        return MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)


def _make(database: Path, artifacts: str | None) -> None:
    """Make MLflow's database aside and publish it whole: its hundred steps take seconds, and are not one transaction.

    MLflow would take a database that was killed in between for a damaged one, for good.
    """
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    database.parent.mkdir(parents=True, exist_ok=True)
    for left in database.parent.glob(f".{database.name}.partial-*"):
        if time.time() - left.stat().st_mtime > _LEFT_S:
            left.unlink(missing_ok=True)
    aside = database.with_name(f".{database.name}.partial-{os.getpid()}")
    try:
        SqlAlchemyStore(f"sqlite:///{aside}", artifacts or DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH).engine.dispose()
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        with suppress(FileExistsError):  # another process was quicker, and its one is as good
            os.link(aside, database)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def failures_named(store: Store) -> Iterator[None]:
    """Turn what MLflow, its database driver and its HTTP library raise into a StorageError without secrets."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except MlflowException as error:
        raise _named(store, error.message) from error
    except ModuleNotFoundError as error:
        raise _named(store, f"its driver is not installed: {error}; install it into .venv") from error
    except (SQLAlchemyError, RequestException, OSError) as error:
        raise _named(store, str(error)) from error


def _named(store: Store, what: str) -> StorageError:
    line = store.scrub(what).strip().partition("\n")[0]
    return StorageError(f"model registry {store.label}: {line[:400]}; check mlflow.uri in execution.yaml")


class ClientReader:
    """Answers by MLflow's own client: for any store it knows."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._client = open_client(store)

    def names(self) -> list[str]:
        """Return the registered models' names."""
        with failures_named(self._store):
            return sorted(model.name for model in _all(self._client.search_registered_models))

    def versions(self, name: str, digest: str | None = None) -> list[Version]:
        """Return a model's versions, oldest first; only those of a digest if one is given."""
        if "'" in name:
            return []  # no name of ours; it would end the condition
        condition = f"name='{name}'" + (f" AND tags.`{DIGEST}` = '{digest}'" if digest else "")
        with failures_named(self._store):
            entries = _all(self._client.search_model_versions, filter_string=condition)
            return sorted((self._version(entry) for entry in entries), key=lambda version: version.version)

    def version(self, name: str, number: int) -> Version | None:
        """Return one version."""
        return self._found(lambda: self._client.get_model_version(name, str(number)))

    def by_alias(self, name: str, alias: str) -> Version | None:
        """Return the version an alias points to."""
        return self._found(lambda: self._client.get_model_version_by_alias(name, alias))

    def location(self, version: Version) -> str:
        """Return where a version's bytes lie."""
        with failures_named(self._store):
            return str(self._client.get_model_version_download_uri(version.name, str(version.version)))

    def _found(self, ask: Any) -> Version | None:
        from mlflow.exceptions import MlflowException

        with failures_named(self._store):
            try:
                return self._version(ask())
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise

    def _version(self, entry: Any) -> Version:
        aliases = self._client.get_registered_model(entry.name).aliases
        return Version(
            name=entry.name,
            version=int(entry.version),
            created_at_utc=as_utc(int(entry.creation_timestamp)),
            run_id=entry.run_id or "",
            tags=dict(entry.tags),
            aliases=tuple(sorted(alias for alias, number in aliases.items() if int(number) == int(entry.version))),
        )


def download(store: Store, address: str, target: Path) -> Path:
    """Download a folder of artifacts by MLflow's means into `target`; return where it lies."""
    prepare()
    with failures_named(store):
        from mlflow.artifacts import download_artifacts

        return Path(download_artifacts(artifact_uri=address, dst_path=str(target), tracking_uri=store.uri))


def move_alias(client: Any, version: Version, tags: Mapping[str, str]) -> None:
    """Write a version's tags, then let the alias `champion` point to it: in this order, so that a kill between the two
    leaves a version that says more than it is, never a champion that nobody can explain.
    """
    for key, text in tags.items():
        client.set_model_version_tag(version.name, str(version.version), key, text)
    client.set_registered_model_alias(version.name, CHAMPION, str(version.version))


def _all(search: Any, **query: Any) -> list[Any]:
    entries: list[Any] = []
    token = None
    while True:
        page = search(page_token=token, **query)
        entries += page
        token = page.token
        if not token:
            return entries
