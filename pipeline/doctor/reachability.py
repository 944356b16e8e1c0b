"""Whether the MLflow store that a URI names can be used, without importing MLflow and within a second."""

from __future__ import annotations

import http.client
import os
import shlex
import socket
import sqlite3
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from pipeline.errors import without_secrets

ANSWER_TIMEOUT_S = 0.5
# Not what Python says of it: that has what stands in the port's place, which may be a part of the password.
_NO_PORT = (
    "its port is not a number between 0 and 65535; in a user's name or a password, write / as %2F, : as %3A and @ as "
    "%40"
)
_OTHER_STORE = "ratchet run --execution mlflow.uri=sqlite:///registry/mlflow.db"


@dataclass(frozen=True)
class StoreProblem:
    """Why a store cannot be used, and a command to paste that shows more."""

    what: str
    remedy: str


def probe(root: Path, uri: str) -> StoreProblem | None:
    """Return what keeps the store at `uri` (relative paths: from `root`) from being used, or None.

    A folder or an SQLite file counts as usable if it can be created. A scheme that names neither host nor file
    (`databricks`, `uc:…`) cannot be examined from here and counts as usable.
    """
    scheme = urlsplit(uri).scheme
    if scheme in {"http", "https"}:
        return _probe_server(uri)
    if scheme.startswith("sqlite"):
        return _probe_file(root / unquote(uri.partition(":///")[2]), is_database=True)
    if scheme in {"", "file"} and uri not in {"databricks", "databricks-uc"}:
        return _probe_file(root / unquote(urlsplit(uri).path), is_database=False)
    return _probe_port(uri)


def _probe_server(uri: str) -> StoreProblem | None:
    parts = urlsplit(uri)
    # Whether anybody is there can be asked without the user and the password.
    health = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/") + "/health", "", ""))
    try:
        if not parts.hostname or parts.port == 0:
            return StoreProblem("names no host that could be asked", _OTHER_STORE)
        with urllib.request.urlopen(health, timeout=ANSWER_TIMEOUT_S):  # noqa: S310  the scheme is http or https
            return None
    except urllib.error.HTTPError as error:
        # A server that requires a log-in, or whose proxy hides /health, is reachable all the same.
        what = f"the server answers {error.code}" if error.code >= 500 else None
        error.close()
    except (OSError, http.client.HTTPException) as error:
        what = f"no answer ({without_secrets(str(getattr(error, 'reason', error)))})"
    except ValueError:
        return StoreProblem(_NO_PORT, _OTHER_STORE)
    return StoreProblem(what, f"curl -fsS {shlex.quote(health)}") if what else None


def _probe_port(uri: str) -> StoreProblem | None:
    try:
        host, port = urlsplit(uri).hostname, urlsplit(uri).port
    except ValueError:
        return StoreProblem(_NO_PORT, _OTHER_STORE)
    if not host or not port:
        return None
    try:
        socket.create_connection((host, port), timeout=ANSWER_TIMEOUT_S).close()
    except OSError as error:
        return StoreProblem(f"no answer ({error})", f"nc -vz {shlex.quote(host)} {port}")
    return None


def _probe_file(path: Path, *, is_database: bool) -> StoreProblem | None:
    what = _problem_with_database(path) if is_database and path.exists() else _problem_with_folder(path, is_database)
    return StoreProblem(what, f"ls -ld {shlex.quote(str(path))} {shlex.quote(str(path.parent))}") if what else None


def _problem_with_database(path: Path) -> str | None:
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=ANSWER_TIMEOUT_S)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master")
        finally:
            connection.close()
    except sqlite3.Error as error:
        return str(error)
    return None if os.access(path, os.W_OK) else "not writable"


def _problem_with_folder(path: Path, is_database: bool) -> str | None:
    start = path.parent if is_database else path
    nearest = next(folder for folder in (start, *start.parents) if folder.exists())
    if not nearest.is_dir():
        return f"{nearest} is not a folder"
    return None if os.access(nearest, os.W_OK | os.X_OK) else f"{nearest} is not writable"
