"""Where the registry is: `execution.mlflow` resolved once, so that every run of one project uses the same store.

A relative database or folder is under the project's folder, whichever workspace a run is in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from pipeline.errors import StorageError, TryAgain, UsageError, without_secrets
from pipeline.recipe.execution import MLflowSettings
from pipeline.runtime.user_folder import shared_folder
from pipeline.storage.home import home_of

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:")
_SERVERS = ("http", "https")
_KNOWN = ("", "file", "sqlite", *_SERVERS, "databricks", "databricks-uc", "uc", "postgresql", "mysql", "mssql")
_PLAIN = re.compile(r"""[^\s"'<>\\`]+""")
_NO_ADDRESS = (
    "mlflow.uri: no address of a registry; write http://host:port, in a user's name or a password / as %2F, : as %3A, "
    "@ as %40 and a blank as %20, or sqlite:///registry/mlflow.db"
)
LOCK_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Store:
    """A model registry and where it stores artifacts.

    `uri` may contain a password: it is for MLflow alone. `label` is what may be shown and written: `local`, or
    scheme, host, port and path. `artifacts` is None if the server decides. `home` is the project's folder if the
    database is inside it: the store moves with it.
    """

    uri: str = field(repr=False)
    label: str
    artifacts: str | None
    database: Path | None  # the SQLite file of a local store
    lock: Path | None  # beside the store; None if that is elsewhere
    home: Path | None = None

    @property
    def is_local(self) -> bool:
        """Whether only this machine's processes can reach it."""
        return self.label == "local"

    @property
    def is_server(self) -> bool:
        """Whether it is an MLflow server reached over HTTP."""
        return urlsplit(self.uri).scheme in _SERVERS

    def scrub(self, text: str) -> str:
        """Return the text with the store's address and its secrets replaced by its label."""
        password = urlsplit(self.uri).password
        return without_secrets(text.replace(self.uri, self.label), also=[password] if password else [])


def resolve_store(root: Path, settings: MLflowSettings) -> Store:
    """Return the store that the settings of a project name; `root` is its folder, or a workspace of a run of it.

    Raises UsageError for an invalid address, DataError if it is not known whose workspace the folder is.
    """
    home = home_of(root)
    parts = _parts(settings.uri)
    if parts.scheme == "sqlite":
        name = settings.uri.partition("?")[0].removeprefix("sqlite://").removeprefix("/")
        if not name:
            raise UsageError(
                f"mlflow.uri: {settings.uri} names no file, and a registry in memory is gone with the process; "
                "write sqlite:///registry/mlflow.db"
            )
        database = _under(home, name)
        if database.exists() and not database.is_file():
            raise StorageError(f"model registry: {name}: no regular file; remove it, or name another in mlflow.uri")
        lock = _beside(database, ".ratchet.lock")
        moves = home if database.is_relative_to(home) else None
        return Store(sqlite_address(database), "local", _artifacts(home, settings), database, lock, moves)
    if parts.scheme in ("", "file"):
        folder = home / unquote(parts.path)
        return Store(folder.as_uri(), "local", _artifacts(home, settings), None, folder / ".ratchet.lock")
    artifacts = settings.artifacts if _SCHEME.match(settings.artifacts) else None
    if parts.scheme not in (*_SERVERS, "databricks") and artifacts is None:
        artifacts = _artifacts(home, settings)
    label = _label(settings.uri)
    return Store(settings.uri.rstrip("/"), label, artifacts, None, None)


def _parts(uri: str) -> SplitResult:
    """Return an address's parts; what UsageError says of any other shows nothing of it: it may hold a password."""
    try:
        parts = urlsplit(uri)
        is_one = bool(uri.strip()) and parts.scheme.partition("+")[0] in _KNOWN and parts.hostname != ""
    except ValueError:
        raise UsageError(_NO_ADDRESS) from None
    is_file = parts.scheme in ("", "file", "sqlite")
    if not is_one or (not is_file and not _PLAIN.fullmatch(uri)):
        raise UsageError(_NO_ADDRESS)
    if parts.scheme in _SERVERS and not parts.hostname:
        raise UsageError("mlflow.uri: names no host; write http://host:port")
    return parts


def sqlite_address(database: Path) -> str:
    """Return the address of a SQLite file, in which SQLAlchemy reads `%41` as `A` and ends the path at `?`."""
    return f"sqlite:///{quote(str(database))}"


@contextmanager
def locked(store: Store, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Hold the store's lock; raise TryAgain if another process holds it for longer than the time-out.

    The lock ends with the process, whatever kills it. For a store on this machine it is beside the store. For a remote
    one it is in the user's cache, so it serialises the processes of one user on the machines that share that folder;
    what holds between all others is said in `moving`.
    """
    from filelock import FileLock, Timeout

    path = store.lock or shared_folder("locks") / f"{hashlib.sha256(store.label.encode()).hexdigest()[:16]}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=timeout_s)
        lock.acquire()
    except Timeout as error:
        raise TryAgain(
            f"model registry {store.label}: another process has been registering for {timeout_s:g} s; run again"
        ) from error
    except OSError as error:
        raise StorageError(f"model registry: {path.parent} cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def _artifacts(home: Path, settings: MLflowSettings) -> str:
    if _SCHEME.match(settings.artifacts):
        return settings.artifacts
    folder = _under(home, settings.artifacts)
    return folder.as_uri() if "%" in str(folder) else str(folder)  # of a plain path, MLflow reads `%41` as `A`


def _under(home: Path, name: str) -> Path:
    """Return a place that is named from the project's folder; one outside of it without the folder in its path."""
    place = home / name
    return place.resolve() if ".." in place.parts else place


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _label(uri: str) -> str:
    parts = urlsplit(uri)
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:  # its text has what stands in the port's place: a part of the password, if that has a `/` in it
        raise UsageError(
            "mlflow.uri: its port is not a number between 0 and 65535; in a user's name or a password, "
            "write / as %2F, : as %3A and @ as %40"
        ) from None
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path.rstrip('/')}"
