"""Who is told: a mail server, and a server for posts, on the loopback, and Airflow's connections to them."""

from __future__ import annotations

import base64
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.waiting import STALL_S

PASSWORD = "pass-w0rd-of-nobody"


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


@contextmanager
def mail_server() -> Iterator[Server]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail) as server:
        server.mail = Server(server.server_address[1])
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server.mail
        server.shutdown()


@contextmanager
def post_server() -> Iterator[Server]:
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
        extra |= {"disable_tls": True, "retry_limit": 0, "timeout": STALL_S} | changes
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
