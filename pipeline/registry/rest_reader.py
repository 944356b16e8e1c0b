"""Reads an MLflow server over its REST interface with the standard library: a few small GETs.

Source: MLflow's REST API, /api/2.0/mlflow/registered-models and /model-versions; credentials as MLflow takes them.
"""

from __future__ import annotations

import base64
import configparser
import http.client
import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

from pipeline.errors import StorageError
from pipeline.registry.store import Store
from pipeline.registry.versions import DIGEST, Version, as_utc

TIMEOUT_S = 15.0
_ANSWER_LIMIT_BYTES = 64 * 2**20
_CHUNK_BYTES = 2**20
# With these set, a request needs more than an address and a header: it is left to MLflow's client.
_BEYOND_PLAIN = (
    "MLFLOW_TRACKING_AUTH",
    "MLFLOW_TRACKING_AWS_SIGV4",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "MLFLOW_WORKSPACE",
)


def is_plain(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether the server can be read without MLflow's client."""
    return not any(environment.get(variable) for variable in _BEYOND_PLAIN)


class RestReader:
    """Reads an MLflow server."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._base, self._headers = _address(store.uri)
        handlers: list[Any] = [_NoRedirect]
        if self._base.startswith("https:"):
            handlers.append(urllib.request.HTTPSHandler(context=_trusted()))
        self._opener = urllib.request.build_opener(*handlers)

    def names(self) -> list[str]:
        """Return the registered models' names."""
        return sorted(entry["name"] for entry in self._pages("registered-models/search", "registered_models", {}))

    def model_tags(self, name: str) -> dict[str, str]:
        """Return the tags of a registered model, not of its versions."""
        return _tags(self._model(name))

    def versions(self, name: str, digest: str | None = None) -> list[Version]:
        """Return a model's versions, oldest first; only those of a digest if one is given."""
        if "'" in name:
            return []  # no name of ours; it would end the condition
        condition = f"name='{name}'" + (f" AND tags.`{DIGEST}` = '{digest}'" if digest else "")
        aliases = self._aliases(name)
        found = [
            self._version(entry, aliases)
            for entry in self._pages("model-versions/search", "model_versions", {"filter": condition})
        ]
        return sorted(found, key=lambda version: version.version)

    def version(self, name: str, number: int) -> Version | None:
        """Return one version."""
        answer = self._get("model-versions/get", {"name": name, "version": number})
        return self._version(answer["model_version"], self._aliases(name)) if answer else None

    def by_alias(self, name: str, alias: str) -> Version | None:
        """Return the version an alias points to."""
        answer = self._get("registered-models/alias", {"name": name, "alias": alias})
        return self._version(answer["model_version"], self._aliases(name)) if answer else None

    def location(self, version: Version) -> str:
        """Return where a version's bytes are."""
        answer = self._get("model-versions/get-download-uri", {"name": version.name, "version": version.version})
        return str(answer["artifact_uri"]) if answer else ""

    def open_artifact(self, path: str) -> IO[bytes]:
        """Open a file that the server itself stores (`mlflow-artifacts:/<path>`). Raises StorageError."""
        return self._open(f"/api/2.0/mlflow-artifacts/artifacts/{quote(path.lstrip('/'))}")

    def _aliases(self, name: str) -> dict[int, tuple[str, ...]]:
        aliases: dict[int, tuple[str, ...]] = {}
        for entry in sorted(self._model(name).get("aliases", []), key=lambda entry: str(entry["alias"])):
            number = int(entry["version"])
            aliases[number] = (*aliases.get(number, ()), str(entry["alias"]))
        return aliases

    def _model(self, name: str) -> dict[str, Any]:
        answer = self._get("registered-models/get", {"name": name})
        found: dict[str, Any] = (answer or {}).get("registered_model", {})
        return found

    def _version(self, entry: Mapping[str, Any], aliases: Mapping[int, tuple[str, ...]]) -> Version:
        number = int(entry["version"])
        return Version(
            name=entry["name"],
            version=number,
            created_at_utc=as_utc(int(entry["creation_timestamp"])),
            run_id=entry.get("run_id", ""),
            tags=_tags(entry),
            aliases=aliases.get(number, ()),
        )

    def _pages(self, endpoint: str, key: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = []
        token = ""
        while True:
            answer = self._get(endpoint, {**query, **({"page_token": token} if token else {})}) or {}
            entries += answer.get(key, [])
            token = answer.get("next_page_token", "")
            if not token:
                return entries

    def _get(self, endpoint: str, query: Mapping[str, object]) -> dict[str, Any] | None:
        """Return the answer, or None if the server says that it does not exist."""
        try:
            with self._open(f"/api/2.0/mlflow/{endpoint}?{urlencode(query)}") as answer:
                content = answer.read(_ANSWER_LIMIT_BYTES + 1)
        except _NothingThere:
            return None
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        if len(content) > _ANSWER_LIMIT_BYTES:
            raise StorageError(f"model registry {self._store.label}: an answer above {_ANSWER_LIMIT_BYTES} bytes")
        try:
            value = json.loads(content)
        except ValueError as error:
            raise StorageError(
                f"model registry {self._store.label}: answers, but not as an MLflow server does; check mlflow.uri"
            ) from error
        if not isinstance(value, dict):
            raise StorageError(f"model registry {self._store.label}: answers, but not as an MLflow server does")
        return value

    def _open(self, path: str) -> IO[bytes]:
        request = urllib.request.Request(self._base + path, headers=self._headers)  # noqa: S310 - http(s), see store
        try:
            answer: IO[bytes] = self._opener.open(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._unreachable(error) from error
        return answer

    def _refusal(self, error: urllib.error.HTTPError) -> Exception:
        try:
            code = json.loads(error.read(_CHUNK_BYTES)).get("error_code", "")
        except (ValueError, AttributeError, OSError):
            code = ""
        # A missing alias is RESOURCE_DOES_NOT_EXIST or INVALID_PARAMETER_VALUE, depending on MLflow's version.
        if code == "RESOURCE_DOES_NOT_EXIST" or (code == "INVALID_PARAMETER_VALUE" and "/alias?" in error.url):
            return _NothingThere()
        hint = "check MLFLOW_TRACKING_TOKEN, or …_USERNAME and …_PASSWORD" if error.code in (401, 403) else ""
        return StorageError(
            f"model registry {self._store.label}: the server answers {error.code} {error.reason}; "
            f"{hint or 'check mlflow.uri in execution.yaml'}"
        )

    def _unreachable(self, error: BaseException) -> StorageError:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        reason = reason.strerror if isinstance(reason, OSError) and reason.strerror else reason
        return StorageError(
            f"model registry {self._store.label} cannot be reached: {self._store.scrub(str(reason))}; "
            "start the server, or name another in execution.yaml, mlflow.uri"
        )


class _NothingThere(Exception):
    """The server says that what was requested does not exist."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it would carry the credentials to wherever it points."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _tags(entry: Mapping[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag.get("value", "") for tag in entry.get("tags", [])}


def _address(uri: str) -> tuple[str, dict[str, str]]:
    """Return the address without its credentials, and the headers that carry them."""
    parts = urlsplit(uri)
    base = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
    if parts.username is not None:
        return base, _basic(unquote(parts.username), unquote(parts.password or ""))
    kept = configparser.ConfigParser(interpolation=None)
    kept.read(Path.home() / ".mlflow" / "credentials")
    user = os.environ.get("MLFLOW_TRACKING_USERNAME") or kept.get("mlflow", "mlflow_tracking_username", fallback="")
    password = os.environ.get("MLFLOW_TRACKING_PASSWORD") or kept.get("mlflow", "mlflow_tracking_password", fallback="")
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if user and password:
        return base, _basic(user, password)
    return base, {"Authorization": f"Bearer {token}"} if token else {}


def _trusted() -> ssl.SSLContext:
    """Return a context with the authorities that MLflow's client trusts: the environment's, otherwise certifi's."""
    import certifi

    authorities = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    if Path(authorities).is_dir():
        return ssl.create_default_context(capath=authorities)
    return ssl.create_default_context(cafile=authorities)


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
