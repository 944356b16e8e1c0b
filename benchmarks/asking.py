"""Clients of a service, for benchmarks: how long answers take, how many are refused, what memory a process has."""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import uvloop

OK, OVERLOADED = 200, 503
BOUNDARY = "of-a-form-with-one-picture"


@dataclass
class Found:
    """What clients saw: seconds of each accepted request, and how many were refused or failed.

    `lags_s` are how much later than due the clients themselves asked, of an open loop.
    """

    seconds: list[float] = field(default_factory=list)
    lags_s: list[float] = field(default_factory=list)
    refused: int = 0
    failed: int = 0
    wall_s: float = 0.0

    def ms(self, percent: float) -> float:
        """Return a percentile of an accepted request, in milliseconds."""
        return 1000 * float(np.percentile(self.seconds, percent)) if self.seconds else float("nan")

    @property
    def rows_per_s(self) -> float:
        return len(self.seconds) / self.wall_s if self.wall_s else 0.0


class _Connection(asyncio.Protocol):
    """One connection that asks the same again and again: a parser of just the answers that services here give."""

    def __init__(self, content: bytes, found: Found, on_answer: Callable[[_Connection], None]) -> None:
        self._content, self._found, self._on_answer = content, found, on_answer
        self._received = b""
        self._since_s = 0.0
        self.is_asking, self.is_open = False, True
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)

    def ask(self, since_s: float) -> None:
        """Send the question; its time counts from `since_s`."""
        assert self.transport is not None
        self._since_s, self.is_asking = since_s, True
        self.transport.write(self._content)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
            return
        self._received, self.is_asking = b"", False
        status = int(head[9:12])
        if status == OK:
            self._found.seconds.append(time.perf_counter() - self._since_s)
        elif status == OVERLOADED:
            self._found.refused += 1
        else:
            self._found.failed += 1
        self._on_answer(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.is_open = False
        if self.is_asking:
            self._found.failed += 1
            self.is_asking = False
            self._on_answer(self)


async def _connections(
    port: int, content: bytes, clients: int, found: Found, on_answer: Callable[[_Connection], None]
) -> list[_Connection]:
    loop = asyncio.get_running_loop()

    def new() -> _Connection:
        return _Connection(content, found, on_answer)

    made = await asyncio.gather(*(loop.create_connection(new, "127.0.0.1", port) for _ in range(clients)))
    return [connection for _, connection in made]


async def _closed(port: int, content: bytes, clients: int, seconds: float) -> Found:
    """Ask again as soon as there is an answer, on each connection, as long as that is open."""
    found, left, until_s = Found(), clients, time.perf_counter() + seconds
    ended = asyncio.Event()

    def again(connection: _Connection) -> None:
        nonlocal left
        now_s = time.perf_counter()
        if now_s < until_s and connection.is_open:
            connection.ask(now_s)
            return
        left -= 1
        if not left:
            ended.set()

    connections = await _connections(port, content, clients, found, again)
    began_s = time.perf_counter()
    until_s = began_s + seconds
    for connection in connections:
        connection.ask(time.perf_counter())
    await ended.wait()
    found.wall_s = time.perf_counter() - began_s
    _close(connections)
    return found


async def _open(port: int, content: bytes, clients: int, seconds: float, rate: float) -> Found:
    """Ask at the times of a Poisson process, whatever has been answered: a time counts from when it should be asked.

    Where no connection is free, the next that is asks; what is due when all are closed has failed.
    """
    found, due_s = Found(), deque[float]()
    free: list[_Connection] = []

    def next_of(connection: _Connection) -> None:
        if due_s and connection.is_open:
            connection.ask(due_s.popleft())
        elif connection.is_open:
            free.append(connection)

    connections = await _connections(port, content, clients, found, next_of)
    free.extend(connections)
    draw = random.Random(1)
    began_s = time.perf_counter()
    at_s, until_s = began_s + draw.expovariate(rate), began_s + seconds
    while at_s < until_s:
        now_s = time.perf_counter()
        while at_s <= now_s:
            while free and not free[-1].is_open:
                free.pop()
            if free:
                found.lags_s.append(now_s - at_s)
                free.pop().ask(at_s)
            else:
                due_s.append(at_s)
            at_s += draw.expovariate(rate)
        await asyncio.sleep(max(0.0, at_s - time.perf_counter()))
    found.wall_s = time.perf_counter() - began_s
    while any(connection.is_asking for connection in connections):
        await asyncio.sleep(0.01)
    found.failed += len(due_s)
    _close(connections)
    return found


def _close(connections: Sequence[_Connection]) -> None:
    for connection in connections:
        if connection.transport is not None:
            connection.transport.close()


def load(port: int, content: bytes, clients: int, seconds: float, rate: float | None = None) -> Found:
    """Ask for some seconds on so many connections: each again and again or, with a rate, as often as that in all.

    The loop is uvloop's, so that clients take little of the processor that they share with the service.
    """
    asking = _open(port, content, clients, seconds, rate) if rate else _closed(port, content, clients, seconds)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(asking)


def picture(seed: int = 1) -> bytes:
    """Return a made PNG of 28 × 28."""
    from PIL import Image

    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (28, 28)).astype(np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def question(content: bytes | None = None) -> bytes:
    """Return a request with one PNG, as it is."""
    return _request("image/png", picture() if content is None else content)


def form(content: bytes, field_name: str = "images") -> bytes:
    """Return a request with one PNG as a field of a form."""
    head = (
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{field_name}"; filename="0.png"\r\n'
        "content-type: image/png\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    return _request(f"multipart/form-data; boundary={BOUNDARY}", body)


def _request(kind: str, body: bytes) -> bytes:
    head = f"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _answer(port: int, content: bytes) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(content)
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return int(head[9:12]), body


def answers(port: int, contents: list[bytes]) -> list[tuple[int, bytes]]:
    """Ask all of these at once, a connection each; return status and body of each answer, in their order."""

    async def ask_all() -> list[tuple[int, bytes]]:
        return await asyncio.gather(*(_answer(port, content) for content in contents))

    return asyncio.run(ask_all())


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
