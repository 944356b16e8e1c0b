"""Whether an Airflow that was started is ready: asked over its REST API, as any client would.

Ready means: its parts have sent a heartbeat since it was started (a killed one's last heartbeat looks healthy for half
a minute), and every DAG file has been read since then, without an error.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import airflow_processes
from airflow_processes import Started
from airflow_settings import DAGS, PARSE_LOGS, PASSWORDS, ROOT, USER

_PARTS = ("scheduler", "dag_processor", "triggerer")
_PAGE = 100  # Airflow's [api] maximum_page_limit
_ANSWER_S = 10.0
_HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy does not know our loopback


class ImportFailed(Exception):
    """DAG files that Airflow could not read: one line each."""


class Readiness:
    """Asks one Airflow until nothing is lacking."""

    def __init__(self, started: Started) -> None:
        """Take what was started."""
        self._started = started
        self._token: str | None = None
        self._closed: set[str] = set()

    def lacks_health(self) -> str | None:
        """Say which part is not up, or None."""
        try:
            health = self._get("/api/v2/monitor/health")
        except OSError:
            return "the web server does not answer yet"
        if health.get("metadatabase", {}).get("status") != "healthy":
            return "the database is not healthy yet"
        for part in _PARTS:
            told = health.get(part) or {}
            beat = told.get(f"latest_{part}_heartbeat")
            if told.get("status") != "healthy" or not self._is_since_start(beat):
                return f"the {part.replace('_', ' ')} is not up yet"
        return None

    def lacks(self) -> str | None:
        """Say what is not ready, or None. Raises `ImportFailed` when a DAG file cannot be read."""
        if health := self.lacks_health():
            return health
        try:
            errors = list(self._all("/api/v2/importErrors", "import_errors"))
            dags = list(self._all("/api/v2/dags", "dags"))
        except OSError as error:
            return f"the web server does not tell of its DAGs yet ({error})"
        read = {dag["relative_fileloc"] for dag in dags if self._is_since_start(dag["last_parsed_time"])}
        failed = {error["filename"]: error for error in errors if self._is_since_start(error["timestamp"])}
        files = {str(path.relative_to(DAGS)) for path in dag_files(DAGS)}
        unread = sorted(files - read - failed.keys() - self._read_without_a_dag(files))
        if unread:
            return f"not read yet: {', '.join(unread)} in {DAGS.name}/"
        if failed:
            why = {name: _last_line(error["stack_trace"]) for name, error in sorted(failed.items())}
            lines = (f"{DAGS.name}/{name}: {line}" for name, line in why.items())
            raise ImportFailed("Airflow cannot read a DAG file: " + "\n".join(lines))
        return None

    def _read_without_a_dag(self, files: set[str]) -> set[str]:
        """Return the files whose reading has ended: until then the DAG processor holds the file's log open."""
        logs = {file: list(PARSE_LOGS.glob(f"*/*/{file}.log")) for file in files}
        held = _open_files(airflow_processes.find(ROOT, self._started))
        closed = {file for file, found in logs.items() if found and not held.intersection(found)}
        known, self._closed = closed & self._closed, closed  # twice in a row: it is made a moment before it is opened
        return known

    def _is_since_start(self, moment: str | None) -> bool:
        return moment is not None and datetime.fromisoformat(moment).timestamp() >= self._started.began

    def _all(self, path: str, key: str) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            page = self._get(f"{path}?limit={_PAGE}&offset={offset}", token=self._get_token())
            yield from page[key]
            offset += _PAGE
            if offset >= page["total_entries"]:
                return

    def _get_token(self) -> str:
        if self._token is None:
            password = json.loads(PASSWORDS.read_text())[USER]
            body = json.dumps({"username": USER, "password": password}).encode()
            self._token = str(self._get("/auth/token", body=body)["access_token"])
        return self._token

    def _get(self, path: str, *, body: bytes | None = None, token: str | None = None) -> dict[str, Any]:
        """Ask, and return the JSON of the answer. Raises `OSError` for everything that is no answer."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(self._started.address + path, data=body, headers=headers)
        try:
            with _HTTP.open(request, timeout=_ANSWER_S) as answer:
                found: dict[str, Any] = json.loads(answer.read())
                return found
        except ValueError as error:  # not JSON: something else answers there
            raise OSError(str(error)) from None


def dag_files(folder: Path) -> list[Path]:
    """Return the files that Airflow will read as DAG files: what its own search finds, `.airflowignore` heeded.

    As in Airflow's `might_contain_dag_via_default_heuristic`: a file that names both Airflow and a DAG or an asset.
    """
    import pathspec  # Airflow's own dependency, for the same file

    ignored: dict[Path, pathspec.GitIgnoreSpec] = {}

    def is_kept(path: Path, end: str = "") -> bool:
        rules = ((base, spec) for base, spec in ignored.items() if path.is_relative_to(base))
        return not any(spec.match_file(f"{path.relative_to(base)}{end}") for base, spec in rules)

    found = []
    for where, folders, names in os.walk(folder):
        here = Path(where)
        if ".airflowignore" in names:
            ignored[here] = pathspec.GitIgnoreSpec.from_lines((here / ".airflowignore").read_text().splitlines())
        folders[:] = [name for name in folders if is_kept(here / name, "/")]
        found += [here / name for name in names if name.endswith(".py") and is_kept(here / name)]
    return sorted(path for path in found if _might_hold_a_dag(path.read_bytes().lower()))


def _open_files(pids: Iterable[int]) -> set[Path]:
    found = set()
    for pid in pids:
        with suppress(OSError):  # it has ended meanwhile
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    found.add(link.readlink())
    return found


def _might_hold_a_dag(text: bytes) -> bool:
    return b"airflow" in text and (b"dag" in text or b"asset" in text)


def _last_line(trace: str) -> str:
    return next((line.strip() for line in reversed(trace.splitlines()) if line.strip()), "no reason given")
