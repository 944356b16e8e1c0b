"""The ways to tell people: real messages to a mail server, a chat and a webhook on the loopback."""

from __future__ import annotations

import email
import email.policy
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from dags import notify
from tests.dags.receivers import PASSWORD, Connections, Server

MESSAGE: dict[str, Any] = {
    "event": "promote",
    "title": "retrain_one has a new champion",
    "sentence": "accuracy 0.893 ≥ 0.85 <b>; v3 is champion",
    "figures": {"accuracy": 0.893},
    "links": {"run": "http://airflow.example:8080/dags/retrain_one/runs/manual__1"},
    "run": "manual__1",
}


def text_of(mail: str) -> tuple[Any, str]:
    parsed = email.message_from_string(mail, policy=email.policy.default)
    [part] = [part for part in parsed.walk() if part.get_content_maintype() == "text"]
    return parsed, part.get_content()


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


@pytest.mark.parametrize("broken", ["mail", "slack", "webhook"])
def test_a_way_that_fails_does_not_stop_the_others_and_tells_no_password(
    mail: Server, posts: Server, connections: Connections, broken: str
) -> None:
    connections.email(mail.port)
    connections.slack(posts.port)
    connections.webhook(posts.port)
    {"mail": connections.email, "slack": connections.slack, "webhook": connections.webhook}[broken](1)  # nobody there
    with pytest.raises(
        RuntimeError, match=rf"^not every notification was sent: ratchet_{broken.replace('mail', 'email')}: "
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
    with pytest.raises(RuntimeError, match=r"^not every notification was sent: ratchet_email: Airflow\w+: [^;]*$"):
        notify.send(MESSAGE)
    assert [body for *_, body in posts.got] == [MESSAGE]


def test_no_connection_is_what_airflow_says_of_one_that_does_not_exist() -> None:
    with pytest.raises(AirflowNotFoundException):
        notify.BaseHook.get_connection("ratchet_email")
