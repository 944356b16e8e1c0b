"""A service that runs on a loopback address, in a thread of the test's process, and clients that ask it."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn

from pipeline.serving.app import build
from pipeline.serving.batching import Batcher
from pipeline.serving.connections import bounded
from pipeline.serving.limits import Limits
from pipeline.serving.metrics import Metrics
from pipeline.serving.model import LoadedModel
from pipeline.serving.models import Models
from pipeline.serving.service import Service


class Answer(NamedTuple):
    """What a service sent back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The one line of a refusal."""
        [(key, line)] = self.json.items()
        assert key == "error"
        assert "\n" not in line
        assert len(line) <= 300
        return line


class Kept:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def __call__(self, event: str, /, **values: Any) -> None:
        self.lines.append(json.loads(json.dumps({"event": event, **values})))


@dataclass
class Running:
    """A running service: its port, and what it consists of."""

    port: int
    service: Service
    log: Kept
    loop: asyncio.AbstractEventLoop
    server: uvicorn.Server

    def ask(
        self, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            content = body.encode() if isinstance(body, str) else body
            connection.request(method, path, content, headers or {})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def post(self, path: str, content: Any, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", path, json.dumps(content), {"content-type": "application/json", **named})

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def raw(self, content: bytes) -> bytes:
        """Send bytes as they are; return all that comes back until the connection ends."""
        with self.connect() as connection:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            found = b""
            while chunk := connection.recv(2**16):
                found += chunk
            return found


def serving(model: LoadedModel | None, limits: Limits | None = None, **more: Any) -> Service:
    """Return a service of a model, or of none yet."""
    limits = limits or Limits()
    metrics, log = more.pop("metrics", None) or Metrics(), more.pop("log", Kept())
    models = more.pop("models", None) or Models(Path("nowhere"), metrics, log)
    if model is not None:
        models.current = model
        metrics.serves(model, is_swap=False)
    calls, is_batching = more.pop("calls", 1), more.pop("is_batching", True)
    batcher = Batcher(limits, metrics, calls=calls, is_batching=is_batching)
    return Service(models, batcher, metrics, log, limits, **more)


@contextmanager
def running(service: Service) -> Iterator[Running]:
    """Run a service as `serve` does, but for signals."""
    app = build(service)
    config = uvicorn.Config(
        app, http=bounded(service.limits, app.refuse_at_once), loop="asyncio", ws="none", lifespan="on",
        log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=20,
        timeout_keep_alive=service.limits.idle_s,  # type: ignore[arg-type]
    )  # fmt: skip
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    loops: list[asyncio.AbstractEventLoop] = []
    started = threading.Event()

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        started.set()
        await server.serve(sockets=[listening])

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert started.wait(60)
    try:
        yield Running(listening.getsockname()[1], service, service.log, loops[0], server)
    finally:
        server.should_exit = True
        thread.join(60)
        listening.close()
        assert not thread.is_alive()
