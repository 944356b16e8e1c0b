"""What the REST reader says when a server is not what it should be. A real MLflow server: tests/system."""

import base64
import http.server
import json
import threading

import pytest

from pipeline.errors import StorageError
from pipeline.recipe.execution import MLflowSettings
from pipeline.registry.reader import open_reader
from pipeline.registry.store import resolve_store

SECRET = "hunter2"


@pytest.fixture(autouse=True)
def no_credentials_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{variable}", raising=False)


@pytest.fixture
def server():
    """Answer every GET with `answer` (status, headers, body) and note what was asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append((self.path, dict(self.headers)))
            status, headers, body = self.server.answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked, running.answer = [], (200, {}, b"{}")
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def reader(server, tmp_path, user=""):
    uri = f"http://{user}127.0.0.1:{server.server_address[1]}"
    return open_reader(resolve_store(tmp_path, MLflowSettings(uri=uri)))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((200, {}, b"<html>a proxy's page</html>"), "not as an MLflow server does"),
        ((200, {}, b"[1, 2]"), "not as an MLflow server does"),
        ((401, {}, b""), "answers 401 Unauthorized; check MLFLOW_TRACKING_TOKEN"),
        ((500, {}, b"{}"), "answers 500"),
        ((302, {"Location": "http://127.0.0.1:9/"}, b""), "answers 302"),
    ],
)
def test_an_answer_that_is_not_mlflows_is_one_line(server, tmp_path, answer, says):
    server.answer = answer
    with pytest.raises(StorageError, match=says) as raised:
        reader(server, tmp_path, f"ann:{SECRET}@").by_alias("pets", "champion")
    assert SECRET not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("code", ["RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"])
def test_an_alias_that_is_not_there_is_nobody(server, tmp_path, code):
    server.answer = (404, {}, json.dumps({"error_code": code}).encode())
    assert reader(server, tmp_path).by_alias("pets", "champion") is None


def test_an_answer_without_end_is_not_swallowed(server, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.registry.rest_reader._ANSWER_LIMIT_BYTES", 1000)
    server.answer = (200, {}, json.dumps({"registered_models": ["x" * 2000]}).encode())
    with pytest.raises(StorageError, match="above 1000 bytes"):
        reader(server, tmp_path).names()


def test_a_server_that_is_not_there_is_one_line(server, tmp_path):
    gone = reader(server, tmp_path, f"ann:{SECRET}@")
    server.server_close()
    with pytest.raises(StorageError, match="cannot be reached: Connection re") as raised:
        gone.by_alias("pets", "champion")
    assert SECRET not in str(raised.value)


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("environment", "user", "expected"),
    [
        ({}, "", None),
        ({"TOKEN": "abc"}, "", "Bearer abc"),
        ({"TOKEN": "abc", "USERNAME": "ann", "PASSWORD": "p"}, "", basic("ann", "p")),
        ({"USERNAME": "ann", "PASSWORD": "p"}, "bob:s%40lt@", basic("bob", "s@lt")),
    ],
)
def test_credentials_are_taken_as_mlflow_takes_them(server, tmp_path, monkeypatch, environment, user, expected):
    for variable, value in environment.items():
        monkeypatch.setenv(f"MLFLOW_TRACKING_{variable}", value)
    reader(server, tmp_path, user).names()
    (_, headers), *_ = server.asked
    assert headers.get("Authorization") == expected


def test_a_name_cannot_end_the_condition_it_stands_in(server, tmp_path):
    assert reader(server, tmp_path).versions("x' OR name='y") == []
    assert server.asked == []
