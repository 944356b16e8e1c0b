"""MLflow's own client, opened quietly, and its failures as one line each."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.errors import StorageError
from pipeline.registry.store import Store, sqlite_address

# No telemetry, no calls to git, no environment variables in what is logged; a dead server is noticed in seconds.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
}
_LEFT_S = 3600.0  # an unfinished database older than this was left by a killed process


def prepare() -> None:
    """Set the environment variables that MLflow reads when imported, unless the user has set them."""
    for variable, value in _ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)


def open_client(store: Store) -> Any:
    """Return an MlflowClient of the store; a local store that does not exist yet is created. Raises StorageError."""
    prepare()
    with failures_named(store):
        import mlflow
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        # Logged models, pip requirements and `models:/` addresses use the global store, not the client's.
        if store.database is not None and not store.database.exists():
            _make(store.database, store.artifacts)
        mlflow.set_tracking_uri(store.uri)
        mlflow.set_registry_uri(store.uri)
        return MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)


def _make(database: Path, artifacts: str | None) -> None:
    """Create MLflow's database aside and publish it whole: its hundred migrations take seconds and are not atomic.

    MLflow would forever treat a database as damaged if its creation was killed half-way.
    """
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    database.parent.mkdir(parents=True, exist_ok=True)
    for leftover in database.parent.glob(f".{database.name}.partial-*"):
        if time.time() - leftover.stat().st_mtime > _LEFT_S:
            leftover.unlink(missing_ok=True)
    aside = database.with_name(f".{database.name}.partial-{os.getpid()}")
    try:
        with _unsynchronized():
            SqlAlchemyStore(sqlite_address(aside), artifacts or DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH).engine.dispose()
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        with suppress(FileExistsError):  # another process came first, and its database is as good
            os.link(aside, database)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def _unsynchronized() -> Iterator[None]:
    """Let SQLite leave it to the caller to bring to the disk what is written over connections made in the block."""
    from sqlalchemy import Engine, event

    def connected(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", connected)
    try:
        yield
    finally:
        event.remove(Engine, "connect", connected)


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


def download(store: Store, address: str, target: Path) -> Path:
    """Download artifacts with MLflow into `target`; return where they are."""
    prepare()
    with failures_named(store):
        from mlflow.artifacts import download_artifacts

        return Path(download_artifacts(artifact_uri=address, dst_path=str(target), tracking_uri=store.uri))
