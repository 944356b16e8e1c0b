"""Being told: real messages to a mail server, a chat and a webhook on the loopback."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from dags import notify
from dags.commands import RunFailed
from pipeline.records.run import RunRecord
from pipeline.runs import history

PASSWORD = "pass-w0rd-of-nobody"
MESSAGE: dict[str, Any] = {
    "event": "promote",
    "title": "retrain_one has a new champion",
    "sentence": "accuracy 0.893 ≥ 0.85 <b>; v3 is champion",
    "figures": {"accuracy": 0.893},
    "links": {"run": "http://airflow.example:8080/dags/retrain_one/runs/manual__1"},
    "run": "manual__1",
}


@dataclass
class Server:
    """What a server has got: mails as text, or posts as (path, headers, JSON)."""

    port: int
    got: list[Any] = field(default_factory=list)
    status: int = 200


class _Mail(socketserver.StreamRequestHandler):
    """As much of RFC 5321 and AUTH PLAIN (RFC 4954) as a client needs to leave a mail."""

    def handle(self) -> None:
        self.say("220 localhost")
        while line := self.rfile.readline().decode().strip():
            match line.split()[0].upper():
                case "EHLO":
                    self.say("250-localhost\r\n250 AUTH PLAIN")
                case "AUTH":
                    user, password = base64.b64decode(line.split()[2]).decode().split("\0")[1:]
                    is_right = (user, password) == ("ratchet", PASSWORD)
                    self.say("235 welcome" if is_right else "535 who are you")
                case "DATA":
                    self.say("354 go on")
                    self.server.mail.got.append(self.text())
                    self.say("250 taken")
                case "QUIT":
                    self.say("221 bye")
                    return
                case _:
                    self.say("250 yes" if self.server.mail.status == 200 else "550 no such mailbox")

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def text(self) -> str:
        lines = iter(lambda: self.rfile.readline().decode(), ".\r\n")
        return "".join(lines)


class _Post(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.got.append((self.path, dict(self.headers), json.loads(body)))
        self.send_response(self.server.posts.status)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mail() -> Iterator[Server]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail) as server:
        server.mail = Server(server.server_address[1])
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server.mail
        server.shutdown()


@pytest.fixture
def posts() -> Iterator[Server]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Post) as server:
        server.posts = Server(server.server_port)
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server.posts
        server.shutdown()


@dataclass(frozen=True)
class Connections:
    """Airflow's connections, given by environment variables."""

    patch: pytest.MonkeyPatch

    def email(self, port: int, **changes: Any) -> None:
        extra = {"to": ["oncall@example.org"], "from_email": "ratchet@example.org", "disable_ssl": True}
        extra |= {"disable_tls": True, "retry_limit": 0, "timeout": 5} | changes
        self._add("ratchet_email", "smtp", port, login="ratchet", password=PASSWORD, extra=extra)

    def slack(self, port: int, **changes: Any) -> None:
        self._add(
            "ratchet_slack", "slackwebhook", None, f"http://127.0.0.1:{port}", password=f"T0/{PASSWORD}", **changes
        )

    def webhook(self, port: int, **changes: Any) -> None:
        self._add("ratchet_webhook", "http", port, login="ratchet", password=PASSWORD, **changes)

    def _add(self, name: str, kind: str, port: int | None, host: str = "127.0.0.1", **values: Any) -> None:
        connection = {"conn_type": kind, "host": host, "port": port, **values}
        self.patch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    return Connections(monkeypatch)


def text_of(mail: str) -> tuple[Any, str]:
    parsed = email.message_from_string(mail, policy=email.policy.default)
    [part] = [part for part in parsed.walk() if part.get_content_maintype() == "text"]
    return parsed, part.get_content()


# -- the ways


def test_nobody_is_told_where_nothing_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for way in ("_by_email", "_by_slack", "_by_webhook"):
        monkeypatch.setattr(notify, way, pytest.fail)
    notify.send(MESSAGE)


def test_a_mail_reaches_everybody_who_is_named(mail: Server, connections: Connections) -> None:
    connections.email(mail.port, to=["oncall@example.org", "lead@example.org"])
    notify.send(MESSAGE)
    [got] = mail.got
    parsed, text = text_of(got)
    assert parsed["Subject"] == "retrain_one has a new champion"
    assert parsed["To"] == "oncall@example.org, lead@example.org"
    assert "accuracy 0.893 ≥ 0.85 &lt;b&gt;; v3 is champion" in text
    assert "run: http://airflow.example:8080/dags/retrain_one/runs/manual__1" in text
    assert PASSWORD not in got


def test_a_message_reaches_the_chat(posts: Server, connections: Connections) -> None:
    connections.slack(posts.port)
    notify.send(MESSAGE)
    [(path, _, body)] = posts.got
    assert path == f"/T0/{PASSWORD}"  # the address itself is the secret there
    assert body == {"text": notify.as_text(MESSAGE)}


def test_a_webhook_gets_the_message_as_json(posts: Server, connections: Connections) -> None:
    connections.webhook(posts.port, extra={"X-Team": "vision"})
    notify.send(MESSAGE)
    [(path, headers, body)] = posts.got
    assert (path, body) == ("/", MESSAGE)
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Team"] == "vision"
    assert headers["Authorization"].startswith("Basic ")


def test_text_has_a_line_each_for_what_why_how_good_and_where() -> None:
    links = {"run": "http://a/run", "report": "http://a/report"}
    message = {**MESSAGE, "figures": {"accuracy": 0.9, "macro_f1": 0.88}, "links": links}
    assert notify.as_text(message).splitlines() == [
        "retrain_one has a new champion",
        "accuracy 0.893 ≥ 0.85 <b>; v3 is champion",
        "accuracy 0.9, macro_f1 0.88",
        "run: http://a/run",
        "report: http://a/report",
    ]
    assert "" not in notify.as_text({**message, "sentence": "", "figures": {}}).splitlines()


# -- when one of them fails


@pytest.mark.parametrize("broken", ["mail", "slack", "webhook"])
def test_a_way_that_fails_does_not_stop_the_others_and_tells_no_password(
    mail: Server, posts: Server, connections: Connections, broken: str
) -> None:
    connections.email(mail.port)
    connections.slack(posts.port)
    connections.webhook(posts.port)
    {"mail": connections.email, "slack": connections.slack, "webhook": connections.webhook}[broken](1)  # nobody there
    with pytest.raises(
        RuntimeError, match=rf"^not everybody was told: ratchet_{broken.replace('mail', 'email')}: "
    ) as caught:
        notify.send(MESSAGE)
    assert len(mail.got) + len(posts.got) == 2
    assert PASSWORD not in str(caught.value)


def test_all_ways_that_fail_are_named(mail: Server, posts: Server, connections: Connections) -> None:
    connections.email(mail.port)
    connections.slack(posts.port)
    connections.webhook(posts.port)
    mail.status, posts.status = 500, 500
    with pytest.raises(RuntimeError) as caught:
        notify.send(MESSAGE)
    for word in ("ratchet_email: ", "ratchet_slack: ", "ratchet_webhook: "):
        assert word in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_an_address_that_is_none_does_not_tell_the_secret_in_it(
    connections: Connections, caplog: pytest.LogCaptureFixture
) -> None:
    connections._add("ratchet_slack", "slackwebhook", None, "ftp://127.0.0.1", password=f"T0/{PASSWORD}")
    with pytest.raises(RuntimeError, match="ratchet_slack: ") as caught:
        notify.send(MESSAGE)
    assert PASSWORD not in str(caught.value)
    assert PASSWORD not in caplog.text


def test_a_mail_to_nobody_says_what_is_missing(mail: Server, connections: Connections) -> None:
    connections.email(mail.port, to=[])
    with pytest.raises(RuntimeError, match=r'ratchet_email: .* \{"to": \["oncall@example\.org"\]\} is missing'):
        notify.send(MESSAGE)
    assert mail.got == []


def test_a_connection_that_cannot_be_asked_for_does_not_stop_the_others(
    posts: Server, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = notify.BaseHook.get_connection

    @staticmethod
    def get_connection(name: str) -> Any:
        if name == notify.EMAIL:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status": 500}))
        if name == notify.SLACK:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND))
        return real(name)

    connections.webhook(posts.port)
    monkeypatch.setattr(notify.BaseHook, "get_connection", get_connection)
    with pytest.raises(RuntimeError, match=r"^not everybody was told: ratchet_email: AirflowRuntimeError: [^;]*$"):
        notify.send(MESSAGE)
    assert [body for *_, body in posts.got] == [MESSAGE]


def test_no_connection_is_what_airflow_says_of_one_that_does_not_exist() -> None:
    with pytest.raises(AirflowNotFoundException):
        notify.BaseHook.get_connection("ratchet_email")


# -- what is told


def keep(root: Path, outcome: str | None, state: str = "success", **reports: Any) -> None:
    run_id = history.id_for("retrain_one", "manual__1")
    kept = RunRecord(run_id, "airflow", state, history.now(), outcome=outcome, sentence="0.893 ≥ 0.85")
    history.write(root, kept)
    for name, content in reports.items():
        path = root / "runs" / run_id / "reports" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))


METRICS = {"test": {"accuracy": 0.893456, "macro_f1": 0.88, "cross_entropy": 0.3, "rows": 2000}}
HOME = "http://airflow.example:8080"


@pytest.mark.parametrize(
    ("outcome", "title", "registration", "sentence"),
    [
        ("promote", "has a new champion", {"sentence": "v3 is champion"}, "0.893 ≥ 0.85; v3 is champion"),
        ("refuse", "refused its candidate", {"sentence": "0.893 ≥ 0.85"}, "0.893 ≥ 0.85"),
        ("rejected", "has a candidate that was not approved", None, "0.893 ≥ 0.85"),
    ],
)
def test_an_outcome_is_told_with_figures_and_links(
    tmp_path: Path, outcome: str, title: str, registration: dict[str, str] | None, sentence: str
) -> None:
    keep(tmp_path, outcome, metrics=METRICS, **({"registration": registration} if registration else {}))
    assert notify.verdict_message(tmp_path, "retrain_one", "manual__1") == {
        "event": outcome,
        "title": f"retrain_one {title}",
        "sentence": sentence,
        "figures": {"accuracy": 0.8935, "macro_f1": 0.88, "cross_entropy": 0.3},
        "links": {
            "run": f"{HOME}/dags/retrain_one/runs/manual__1",
            "report": f"{HOME}/ratchet/dags/retrain_one/runs/manual__1/reports/index.html",
        },
        "run": "manual__1",
    }


@pytest.mark.parametrize(("outcome", "state"), [("unchanged", "success"), (None, "failed"), (None, "running")])
def test_what_is_no_outcome_is_not_told(tmp_path: Path, outcome: str | None, state: str) -> None:
    keep(tmp_path, outcome, state)
    assert notify.verdict_message(tmp_path, "retrain_one", "manual__1") is None


def test_a_run_that_is_not_ours_is_not_told(tmp_path: Path) -> None:
    assert notify.verdict_message(tmp_path, "another", "manual__1") is None


def test_links_hold_whatever_a_run_is_called() -> None:
    name = "scheduled__2026-11-22T03:00:00+00:00/../x y"
    quoted = "scheduled__2026-11-22T03%3A00%3A00%2B00%3A00%2F..%2Fx%20y"
    assert notify.run_url("retrain_one", name) == f"{HOME}/dags/retrain_one/runs/{quoted}"
    assert notify.report_url("retrain_one", name, "reports/verdict.json") == (
        f"{HOME}/ratchet/dags/retrain_one/runs/{quoted}/reports/verdict.json"
    )


def context(**values: Any) -> Any:
    run = SimpleNamespace(dag_id="retrain_one", run_id="manual__1")
    return {"dag_run": run, "ti": SimpleNamespace(task_id="train", log_url=f"{HOME}/log"), **values}


def test_a_failure_is_told_with_the_line_that_says_why(posts: Server, connections: Connections) -> None:
    connections.webhook(posts.port)
    notify.NotifyFailure()(context(exception=ValueError("data/raw: no such file")))
    [(*_, body)] = posts.got
    assert body == {
        "event": "failed",
        "title": "retrain_one failed at train",
        "sentence": "data/raw: no such file",
        "figures": {},
        "links": {"run": f"{HOME}/dags/retrain_one/runs/manual__1", "log": f"{HOME}/log"},
        "run": "manual__1",
    }


def test_a_run_that_is_closed_as_failed_is_not_told_again(posts: Server, connections: Connections) -> None:
    connections.webhook(posts.port)
    notify.NotifyFailure()(context(exception=RunFailed("the run failed: data/raw: no such file")))
    assert posts.got == []


@pytest.mark.parametrize("values", [{}, {"exception": None}, {"exception": ValueError()}])
def test_a_task_that_vanished_is_told_too(posts: Server, connections: Connections, values: dict[str, Any]) -> None:
    connections.webhook(posts.port)
    notify.NotifyFailure()(context(**values))
    assert posts.got[0][2]["sentence"] == "it ended without a word: see its log"


def test_the_end_of_a_run_is_told_if_it_is_news(tmp_path: Path, posts: Server, connections: Connections) -> None:
    connections.webhook(posts.port)
    keep(tmp_path, "unchanged")
    notify.NotifyVerdict(str(tmp_path))(context())
    assert posts.got == []
    keep(tmp_path, "promote", metrics=METRICS)
    notify.NotifyVerdict(str(tmp_path))(context())
    assert [body["event"] for *_, body in posts.got] == ["promote"]


def test_the_log_of_a_message_that_failed_tells_no_password(
    connections: Connections, capfd: pytest.CaptureFixture[str]
) -> None:
    for add in (connections.email, connections.slack, connections.webhook):
        add(1)
    with pytest.raises(RuntimeError):
        notify.NotifyFailure()(context())
    written = "".join(capfd.readouterr())
    assert "not everybody was told" in written
    assert PASSWORD not in written
