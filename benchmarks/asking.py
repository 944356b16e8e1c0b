"""Clients of a service, for benchmarks: how long answers take, how many are refused, what memory a process has."""

from __future__ import annotations

import asyncio
import io
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

BOUNDARY = "of-a-form-with-one-picture"


@dataclass
class Found:
    """What clients saw: seconds of each accepted request, and how many were refused or failed."""

    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    failed: int = 0
    wall_s: float = 0.0

    def ms(self, percent: float) -> float:
        """Return a percentile of an accepted request, in milliseconds."""
        return 1000 * float(np.percentile(self.seconds, percent)) if self.seconds else float("nan")

    @property
    def rows_per_s(self) -> float:
        return len(self.seconds) / self.wall_s if self.wall_s else 0.0


async def _client(port: int, content: bytes, found: Found, until_s: float, pause_s: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < until_s:
        began_s = time.perf_counter()
        writer.write(content)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        status = int(head[9:12])
        if status == 200:
            found.seconds.append(time.perf_counter() - began_s)
        elif status == 503:
            found.refused += 1
        else:
            found.failed += 1
        if pause_s:
            await asyncio.sleep(max(0.0, pause_s - (time.perf_counter() - began_s)))
    writer.close()


async def _load(port: int, content: bytes, clients: int, seconds: float, rate: float | None) -> Found:
    found, began_s = Found(), time.perf_counter()
    pause_s = clients / rate if rate else 0.0
    await asyncio.gather(*(_client(port, content, found, began_s + seconds, pause_s) for _ in range(clients)))
    found.wall_s = time.perf_counter() - began_s
    return found


def load(port: int, content: bytes, clients: int, seconds: float, rate: float | None = None) -> Found:
    """Ask with so many clients at once, in a closed loop or, with a rate, as often as that, for some seconds."""
    return asyncio.run(_load(port, content, clients, seconds, rate))


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
    writer.write(content)
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
    writer.close()
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
