"""Whether an MLflow store can be used, asked of real files, real ports and real servers."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pipeline.doctor.reachability import probe


@contextmanager
def server(answer: int) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_address[1]}"
        finally:
            running.shutdown()
            thread.join()


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def test_a_database_that_is_not_there_yet_is_usable(tmp_path: Path) -> None:
    assert probe(tmp_path, "sqlite:///registry/mlflow.db") is None
    assert probe(Path("/nowhere"), f"sqlite:///{tmp_path}/mlflow.db") is None
    assert not (tmp_path / "registry").exists()


def test_a_database_that_is_there_is_opened(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "mlflow.db").close()
    assert probe(tmp_path, "sqlite:///mlflow.db") is None


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"certainly not SQLite" * 100)
    problem = probe(tmp_path, "sqlite:///mlflow.db")
    assert problem is not None
    assert "not a database" in problem.what


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "registry").write_text("a file")
    for uri in ("sqlite:///registry/mlflow.db", "registry/runs", (tmp_path / "registry" / "runs").as_uri()):
        problem = probe(tmp_path, uri)
        assert problem is not None
        assert "is not a folder" in problem.what


@pytest.mark.parametrize("answer", [200, 401, 404])
def test_a_server_that_answers_at_all_is_reachable(tmp_path: Path, answer: int) -> None:
    with server(answer) as uri:
        assert probe(tmp_path, uri) is None


def test_a_broken_server_is_refused(tmp_path: Path) -> None:
    with server(503) as uri:
        problem = probe(tmp_path, uri)
    assert problem is not None
    assert problem.what == "the server answers 503"


def test_nobody_listening_is_refused(tmp_path: Path) -> None:
    for uri in (f"http://127.0.0.1:{closed_port()}", f"postgresql://user@127.0.0.1:{closed_port()}/mlflow"):
        problem = probe(tmp_path, uri)
        assert problem is not None
        assert "refused" in problem.what


def test_a_server_that_never_answers_is_given_up_on_soon(tmp_path: Path) -> None:
    with silent_port() as port:
        assert probe(tmp_path, f"http://127.0.0.1:{port}") is not None


def test_a_database_server_that_listens_is_reachable(tmp_path: Path) -> None:
    with silent_port() as port:
        assert probe(tmp_path, f"postgresql://user:secret@127.0.0.1:{port}/mlflow") is None


def test_an_impossible_port_is_refused(tmp_path: Path) -> None:
    assert probe(tmp_path, "mysql://host:123456/mlflow") is not None


def test_what_cannot_be_examined_is_believed(tmp_path: Path) -> None:
    assert probe(tmp_path, "databricks") is None
    assert probe(tmp_path, "databricks://profile") is None


@pytest.mark.parametrize("with_port", [True, False])
def test_a_server_is_asked_without_the_password_of_its_address(tmp_path: Path, with_port: bool) -> None:
    with server(401) as uri:
        there = uri.replace("//", "//ann:s3cret%2Fpart@") if with_port else "http://ann:s3cret@host.invalid"
        problem = probe(tmp_path, there)
    if with_port:
        assert problem is None
    else:
        assert problem is not None
        assert "s3cret" not in problem.what + problem.remedy
        assert "host.invalid" in problem.remedy


@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_a_password_that_is_not_encoded_is_not_shown_as_a_port(tmp_path: Path, scheme: str) -> None:
    problem = probe(tmp_path, f"{scheme}://ann:s3c/ret@host:5000")
    assert problem is not None
    assert "%2F" in problem.what
    assert "s3c" not in problem.what + problem.remedy
