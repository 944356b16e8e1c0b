"""Ids, tokens, the log, errors, connections: what stands around every route."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.serving.choosing import Choosing
from pipeline.serving.guard import Guard
from pipeline.serving.limits import Limits
from pipeline.serving.tokens import Tokens, add_token
from tests.serving import made
from tests.serving.running import Answer, Running, running, serving

ROW = {"distance": 1, "carrier": "secret-value"}


@pytest.fixture(scope="module")
def table() -> Iterator[Running]:
    with running(serving(made.model(made.TABLE))) as service:
        yield service


def line_of(service: Running, route: str) -> dict[str, object]:
    """The line of a request that was answered; it is written after the answer."""
    found: list[dict[str, object]] = []
    wait_for(lambda: found.extend(line for line in service.log.lines if line.get("route") == route) or found)
    return found[0]


def test_live_ready_and_the_model_can_be_asked(table: Running) -> None:
    assert table.ask("GET", "/health/live").json == {"live": True}
    ready = table.ask("GET", "/health/ready")
    assert ready.status == 200
    assert ready.json["ready"]
    assert ready.json["model"]["version"] == 3
    assert ready.json["refused"] is None
    described = table.ask("GET", "/model").json
    assert [each["kind"] for each in described["inputs"]] == ["number", "category"]
    assert described["classes"] == list(made.CLASSES)


def test_openapi_describes_every_route(table: Running) -> None:
    described = table.ask("GET", "/openapi.json").json
    paths = set(described["paths"])
    assert {"/predict", "/metrics", "/v2/models/{name}/infer", "/v1/models/{name}/versions/{version}:predict"} <= paths
    assert "application/json" in described["paths"]["/predict"]["post"]["requestBody"]["content"]


def test_the_page_runs_only_its_own_script(table: Running) -> None:
    page = table.ask("GET", "/")
    assert page.status == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(rb"""(src|href)=["']?(https?:)?//""", page.body)


def test_without_a_model_it_lives_but_is_not_ready() -> None:
    with running(serving(None)) as service:
        assert service.ask("GET", "/health/live").status == 200
        assert service.ask("GET", "/health/ready").status == 503
        assert service.ask("GET", "/v2/health/ready").status == 503
        answer = service.post("/predict", ROW)
        assert answer.status == 503
        assert "no model is served" in answer.error
        assert answer.headers["retry-after"]


def test_unknown_addresses_and_methods_are_refused(table: Running) -> None:
    for path in ("/nothing", "/../etc/passwd", "/%2e%2e/etc/passwd", "/predict/", "/v1/models/a%2Fb:predict"):
        answer = table.ask("GET", path)
        assert answer.status == 404, path
        assert answer.error
    assert table.ask("GET", "/predict").status == 405
    assert table.ask("DELETE", "/predict").error


def test_a_request_has_an_id_its_own_or_a_new_one(table: Running) -> None:
    given = table.ask("GET", "/health/live", headers={"x-request-id": "till-7.4_a"})
    assert given.headers["x-request-id"] == "till-7.4_a"
    for odd in ("a b", "x" * 65, "é", ""):
        made_up = table.ask("GET", "/health/live", headers={"x-request-id": odd})
        assert re.fullmatch("[0-9a-f]{32}", made_up.headers["x-request-id"])


def test_the_log_has_a_line_a_request_and_nothing_of_what_was_asked(table: Running) -> None:
    table.log.lines.clear()
    table.ask("POST", "/predict?token=in-the-address", json.dumps(ROW), {"content-type": "application/json"})
    line = line_of(table, "/predict")
    assert line["status"] == 200
    assert line["rows"] == 1
    assert line["version"] == "3"
    assert float(str(line["ms"])) > 0
    table.log.lines.clear()
    table.post("/predict", {"distance": 1, "secret-name": 1})
    table.ask("GET", "/secret-path")
    written = json.dumps(table.log.lines) + json.dumps(line)
    assert "secret" not in written
    assert "in-the-address" not in written


def test_a_bug_is_one_line_and_the_service_goes_on(monkeypatch: pytest.MonkeyPatch, table: Running) -> None:
    table.log.lines.clear()

    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    with monkeypatch.context() as patch:
        patch.setattr(Choosing, "drawn", broken)
        answer = table.post("/predict", ROW)
    assert answer.status == 500
    assert answer.error == "the service failed; its log says where"
    wait_for(lambda: any(line["event"] == "bug" for line in table.log.lines))  # written after the answer
    bug = next(line for line in table.log.lines if line["event"] == "bug")
    assert bug["error"] == "ZeroDivisionError"
    assert "secret" not in json.dumps(bug)
    assert table.post("/predict", ROW).status == 200


def test_a_model_that_fails_is_a_failure_of_the_service_and_one_that_refuses_of_the_question() -> None:
    class InvalidArgumentError(Exception):
        pass

    model = made.model(made.TABLE)
    with running(serving(model)) as service:
        model.engine.error = lambda columns: RuntimeError("secret")
        failed = service.post("/predict", ROW)
        assert (failed.status, "secret" in failed.error) == (500, False)
        model.engine.error = lambda columns: InvalidArgumentError("secret")
        refused = service.post("/predict", ROW)
        assert (refused.status, "secret" in refused.error) == (422, False)
        model.engine.error = lambda columns: None
        assert service.post("/predict", ROW).status == 200
        assert "secret" not in json.dumps([line for line in service.log.lines if line["event"] != "request"])


def test_a_deadline_is_the_clients_to_shorten() -> None:
    model = made.model(made.TABLE)
    with running(serving(model)) as service:
        for odd in ("0", "-1", "1.5", "x", "9" * 30):
            assert service.post("/predict", ROW, x_timeout_ms=odd).status == 400
        model.engine.is_open.clear()
        assert service.post("/predict", ROW, x_timeout_ms="30").status == 504
        model.engine.is_open.set()


def test_a_client_that_hangs_up_leaves_no_rows_behind() -> None:
    model = made.model(made.TABLE)
    with running(serving(model)) as service:
        model.engine.is_open.clear()
        first = threading.Thread(target=service.post, args=("/predict", ROW))
        first.start()
        batcher = service.service.batcher
        wait_for(lambda: batcher._running == 1)
        body = json.dumps(ROW).encode()
        head = "POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(body)}\r\n\r\n"
        with service.connect() as connection:
            connection.sendall(head.encode() + body)
            wait_for(lambda: batcher.queued_rows == 1)
        wait_for(lambda: batcher.queued_rows == 0)
        model.engine.is_open.set()
        first.join()
        assert b'ratchet_dropped_rows_total{why="gone"} 1.0' in service.ask("GET", "/metrics").body
        assert 499 in [line["status"] for line in service.log.lines]
    assert model.engine.asked == [1]


def ask_for_much(connection: socket.socket) -> None:
    """Ask for more than the system keeps of what nobody reads, and read the beginning."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**12)
    body = json.dumps({"rows": [ROW] * 150}).encode()
    head = f"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    assert connection.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.long
def test_a_client_that_hangs_up_in_the_middle_of_its_answer_leaves_nothing_behind() -> None:
    model = made.model(made.TABLE, classes=tuple(f"class {number}" for number in range(2000)))
    with running(serving(model)) as service:
        for _ in range(3):
            with service.connect() as connection:
                ask_for_much(connection)
                at_once = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)  # by a reset, as if killed
        assert service.post("/predict", ROW).status == 200
        wait_for(lambda: service.service.admission.in_flight == 0)
        wait_for(lambda: len([line for line in service.log.lines if line["event"] == "request"]) == 4)
        assert service.service.held.size_bytes == 0
        assert {line["event"] for line in service.log.lines} == {"request"}


def test_an_answer_that_nobody_reads_is_let_go() -> None:
    model = made.model(made.TABLE, classes=tuple(f"class {number}" for number in range(2000)))
    with running(serving(model, Limits(idle_s=0.2))) as service, service.connect() as connection:
        ask_for_much(connection)
        wait_for(lambda: not service.server.server_state.connections)
        assert service.post("/predict", ROW).status == 200


def wait_for(condition: object) -> None:
    until_s = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until_s
        time.sleep(0.005)


@pytest.mark.long
def test_a_slow_body_and_a_slow_head_are_given_up() -> None:
    limits = Limits(body_s=0.05, headers_s=0.2)
    with running(serving(made.model(made.TABLE), limits)) as service:
        with service.connect() as connection:
            connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
            connection.sendall(b"content-length: 10\r\n\r\n{")
            assert connection.recv(2**16).startswith(b"HTTP/1.1 408")
        for begun in (b"", b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: "):
            with service.connect() as connection:
                connection.sendall(begun)
                assert connection.recv(2**16) == b""  # closed by the service
        with service.connect() as connection:  # one that is kept is not cut by the timer of its head
            for _ in range(2):
                connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
                found = b""
                while not found.endswith(b"}"):
                    chunk = connection.recv(2**16)
                    assert chunk, "the service closed it"
                    found += chunk
                time.sleep(0.3)


def test_broken_requests_are_refused_and_the_service_lives(table: Running) -> None:
    for content in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /%ff%fe HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx-request-id: a\rb\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 1_000_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    ):
        with contextlib.suppress(OSError):
            status = table.raw(content)[:12]
            assert status in (b"", b"HTTP/1.1 400", b"HTTP/1.1 404"), content
    assert table.post("/predict", ROW).status == 200


def test_an_answer_repeats_no_header_that_was_sent(table: Running) -> None:
    answer = table.ask("GET", "/health/live", headers={"x-request-id": "a%0d%0aset-cookie:b", "x-other": "back"})
    assert "set-cookie" not in answer.headers
    assert "back" not in answer.headers.values()


def test_idle_connections_do_not_keep_others_out(table: Running) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection(("127.0.0.1", table.port)))
        assert table.post("/predict", ROW).status == 200


def test_where_there_are_as_many_connections_as_may_be_the_longest_silent_makes_room() -> None:
    limits = Limits(connections=20, headers_s=600, idle_s=600, request_s=600)  # it is the number alone that closes one
    with running(serving(made.model(made.TABLE), limits)) as service, contextlib.ExitStack() as stack:
        model = service.service.models.current
        assert model is not None
        model.engine.is_open.clear()
        found: list[Answer] = []
        asking = threading.Thread(target=lambda: found.append(service.post("/predict", ROW)))
        asking.start()
        wait_for(lambda: service.service.batcher._running == 1)  # it is not silent, so it stays
        kept = stack.enter_context(service.connect())
        idle = [stack.enter_context(service.connect()) for _ in range(17)]
        for _ in range(3):
            assert service.ask("GET", "/health/live").status == 200  # so those before it have been accepted, too
            assert asked_live(kept)  # one that asks is not the longest silent
            idle += [stack.enter_context(service.connect()) for _ in range(10)]
        assert service.ask("GET", "/health/live").status == 200
        for each in idle[:25]:
            assert each.recv(1) == b""
        assert asked_live(kept)
        model.engine.is_open.set()
        asking.join()
        assert found[0].status == 200


def asked_live(connection: socket.socket) -> bool:
    """Ask on a connection that is kept; return whether it is live."""
    connection.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
    found = b""
    while not found.endswith(b"}"):
        chunk = connection.recv(2**16)
        if not chunk:
            return False
        found += chunk
    return found.startswith(b"HTTP/1.1 200")


def test_at_the_end_a_request_under_way_is_answered() -> None:
    model = made.model(made.TABLE, call_s=0.3)
    found = []
    with running(serving(model)) as service:
        asking = threading.Thread(target=lambda: found.append(service.post("/predict", ROW)))
        asking.start()
        wait_for(lambda: service.service.batcher._running == 1)
    asking.join()
    assert found[0].status == 200


def test_tokens_open_the_service_and_are_read_again_when_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    first = add_token(path, "till-7")
    tokens = Tokens(path)
    with running(serving(made.model(made.TABLE), tokens=tokens)) as service:

        def status(**headers: str) -> int:
            answer = service.post("/predict", ROW, **headers)
            if answer.status == 401:
                assert answer.headers["www-authenticate"] == "Bearer"
                assert answer.error
            return answer.status

        assert status(authorization=f"Bearer {first}") == 200
        assert status(authorization=f"bearer {first}") == 200
        wait_for(lambda: [line["token"] for line in service.log.lines] == ["till-7", "till-7"])
        assert status() == 401
        assert status(authorization="Bearer wrong") == 401
        assert status(authorization=f"Basic {first}") == 401
        in_address = service.ask("POST", f"/predict?token={first}&access_token={first}", json.dumps(ROW))
        assert in_address.status == 401
        for path_of_all in ("/metrics", "/model", "/openapi.json", "/v2", "/nothing"):
            assert service.ask("GET", path_of_all).status == 401
        for open_path in ("/", "/health/live", "/health/ready", "/v2/health/ready"):
            assert service.ask("GET", open_path).status == 200
        assert first not in json.dumps(service.log.lines)

        second = add_token(path, "till-8")
        tokens._looked_at_s = 0.0  # a second later
        assert status(authorization=f"Bearer {second}") == 200
        path.write_text("\n".join(line for line in path.read_text().splitlines() if "till-7" not in line))
        tokens._looked_at_s = 0.0
        assert status(authorization=f"Bearer {first}") == 401
        assert status(authorization=f"Bearer {second}") == 200
        path.write_text("broken")
        tokens._looked_at_s = 0.0
        assert status(authorization=f"Bearer {second}") == 401
        assert "line 1" in str(tokens.problem)


def test_where_too_many_are_answered_a_question_is_refused_before_it_is_read(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.json"
    token = add_token(tokens, "somebody")
    limits = Limits(batch_rows=1, queue_s=0.0)
    with running(serving(made.model(made.TABLE), limits, tokens=Tokens(tokens))) as service:
        own = {"authorization": f"Bearer {token}"}
        assert (
            service.ask("POST", "/predict", json.dumps(ROW), {"content-type": "application/json", **own}).status == 200
        )
        service.service.admission.in_flight = 2  # requests/s have been measured
        for path in ("/predict", "/v1/models/table:predict", "/v2/models/table/infer"):
            answer = service.ask("POST", path, b"what it says is not looked at", own)
            assert (answer.status, answer.headers["retry-after"]) == (503, "1"), path
            assert answer.error == "as many requests are being answered as can be in time; try again in 1 s"
            assert {"x-request-id", "x-content-type-options", "date"} <= answer.headers.keys()
            assert answer.headers["content-type"] == "application/json"
        assert line_of(service, "/v2/models/{name}/infer")["status"] == 503
        assert service.ask("POST", "/predict", b"").status == 401
        assert service.ask("POST", "/nothing", b"", own).status == 404
        assert service.ask("GET", "/model").status == 401
        assert service.ask("GET", "/health/ready").status == 200
        assert b"ratchet_shed_rows_total 3.0" in service.ask("GET", "/metrics", headers=own).body
        service.service.admission.in_flight = 0
        assert (
            service.ask("POST", "/predict", json.dumps(ROW), {"content-type": "application/json", **own}).status == 200
        )


def test_a_connection_whose_question_was_refused_goes_on() -> None:
    with running(serving(made.model(made.TABLE), Limits(batch_rows=1, queue_s=0.0))) as service:
        assert service.post("/predict", ROW).status == 200
        admission = service.service.admission
        admission.in_flight = 2
        body = b"x" * 200_000
        refused = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        live = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"
        with service.connect() as connection:  # not closed for writing: uvicorn ends a connection at once that is
            connection.sendall(refused + live + refused + live)
            found = b""
            while found.count(b"HTTP/1.1 ") < 4 or not found.endswith(b"}"):
                chunk = connection.recv(2**16)
                assert chunk
                found += chunk
        assert re.findall(rb"HTTP/1.1 (\d+)", found) == [b"503", b"200", b"503", b"200"]
        assert found.count(b"x-request-id: ") == 4
        assert found.count(b"date: ") == 4

        short = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
        many = 1500  # in one piece: each waits for the one before it
        with service.connect() as connection:
            connection.sendall(live + short * many)
            found = b""
            while found.count(b"HTTP/1.1 503 ") < many:
                chunk = connection.recv(2**16)
                assert chunk
                found += chunk
        assert found.startswith(b"HTTP/1.1 200 ")
        for version, more in ((b"1.0", b""), (b"1.1", b"connection: close\r\n")):
            found = service.raw(b"POST /predict HTTP/%s\r\nhost: x\r\n%scontent-length: 0\r\n\r\n" % (version, more))
            assert found.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nconnection: close\r\n" in found
        admission.in_flight = 0
        assert service.post("/predict", ROW).status == 200


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"transfer-encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n"),
        (b"content-length: 3\r\nexpect: 100-continue\r\n", b"abc"),
        (b"content-length: 3\r\nconnection: upgrade\r\nupgrade: h2c\r\n", b"abc"),
        (b"content-length: 70000\r\n", b"x" * 70_000),
        (b"content-length: 3\r\n", b"abc"),
        (b"content-length: 60000\r\nx-request-id: mine\r\n", b"x" * 60_000),
    ],
    ids=["chunked", "expect", "upgrade", "large", "small", "small in pieces"],
)
def test_a_refusal_is_the_same_however_the_question_is_sent(head: bytes, body: bytes) -> None:
    limits = Limits(batch_rows=1, queue_s=0.0)
    with running(serving(made.model(made.TABLE), limits)) as service:
        assert service.post("/predict", ROW).status == 200
        service.service.admission.in_flight = 2
        question = b"POST /predict?a=b HTTP/1.1\r\nhost: x\r\n%b\r\n%b" % (head, body)
        with service.connect() as connection:
            for start in range(0, len(question), 20_000):
                connection.sendall(question[start : start + 20_000])
                time.sleep(0.01)  # so that most come apart; what is told must be the same if they do not
            found = b""
            while b"try again in 1 s" not in found:
                chunk = connection.recv(2**16)
                assert chunk
                found += chunk
        answer = found.partition(b"\r\n\r\n")[0].lower()
        assert answer.startswith(b"http/1.1 503 service unavailable\r\n")
        names = {line.partition(b":")[0] for line in answer.split(b"\r\n")[1:]}
        needed = {b"date", b"retry-after", b"content-length", b"content-type", b"x-request-id", b"cache-control"}
        assert needed <= names, names
        wait_for(lambda: any(line.get("status") == 503 for line in service.log.lines))
        [line] = [line for line in service.log.lines if line.get("status") == 503]
        assert (line["route"], line["method"]) == ("/predict", "POST")
        assert line["request_id"].encode() in found
        assert b"ratchet_shed_rows_total 1.0" in service.ask("GET", "/metrics").body


def test_what_comes_after_a_question_that_is_refused_waits_for_those_before_it() -> None:
    model = made.model(made.TABLE)
    with running(serving(model, Limits(batch_rows=1, queue_s=0.0))) as service:
        assert service.post("/predict", ROW).status == 200
        content = json.dumps(ROW).encode()
        head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        question = head % len(content) + content
        model.engine.is_open.clear()
        with service.connect() as connection:
            connection.sendall(question)
            wait_for(lambda: service.service.admission.in_flight == 1)
            service.service.admission.in_flight += 1
            connection.sendall(question)
            time.sleep(0.05)
            model.engine.is_open.set()
            found = b""
            while found.count(b"HTTP/1.1 ") < 2:
                found += connection.recv(2**16)
        assert re.findall(rb"HTTP/1.1 (\d+)", found) == [b"200", b"503"]


@pytest.mark.long
def test_a_refused_question_whose_body_does_not_come_is_given_up_and_an_idle_one_closed() -> None:
    limits = Limits(batch_rows=1, queue_s=0.0, headers_s=0.5, idle_s=1)
    with running(serving(made.model(made.TABLE), limits)) as service:
        assert service.post("/predict", ROW).status == 200
        service.service.admission.in_flight = 2
        head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n"
        for body in (b"abc", b"0123456789"):
            with service.connect() as connection:
                connection.sendall(head)
                found = connection.recv(2**16)
                assert found.startswith(b"HTTP/1.1 503 ")
                connection.sendall(body)  # after the answer, as clients do that do not look
                while chunk := connection.recv(2**16):
                    found += chunk
            assert found.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "question",
    [
        b"POST /predict HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 000000000000000003\r\n\r\nabc",
    ],
    ids=["1.0", "close"],
)
def test_a_refused_question_of_a_connection_that_is_not_kept_is_told_so(question: bytes) -> None:
    with running(serving(made.model(made.TABLE), Limits(batch_rows=1, queue_s=0.0))) as service:
        assert service.post("/predict", ROW).status == 200
        service.service.admission.in_flight = 2
        with service.connect() as connection:
            connection.sendall(question)
            found = b""
            while chunk := connection.recv(2**16):
                found += chunk
        assert found.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nconnection: close\r\n" in found


def test_of_questions_that_come_together_one_is_refused_at_once_and_the_others_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running(serving(made.model(made.TABLE), Limits(batch_rows=1, queue_s=0.0))) as service:
        assert service.post("/predict", ROW).status == 200
        admission = service.service.admission
        admission.in_flight = 2
        at_once: list[int] = []
        as_it_was = Guard.refuse_at_once
        monkeypatch.setattr(
            Guard, "refuse_at_once", lambda guard, *question: at_once.append(1) or as_it_was(guard, *question)
        )
        short = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
        with running(service.service) as other, other.connect() as connection:
            connection.sendall(short * 20)
            found = b""
            while found.count(b"HTTP/1.1 503 ") < 20:
                chunk = connection.recv(2**16)
                assert chunk
                found += chunk
        assert 1 <= len(at_once) < 10
