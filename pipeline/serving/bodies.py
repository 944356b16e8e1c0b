"""Reads a request's body: no more bytes than allowed, in no more time, inflated with care."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.serving.limits import Limits
from pipeline.serving.refusals import BAD_REQUEST, OVERLOADED, TIMED_OUT, TOO_LARGE, UNKNOWN_TYPE, Gone, Refusal

_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_CLOSE = {"connection": "close"}  # what is still on its way must not be taken for the next request


class Held:
    """The bytes of all bodies that are being read or answered."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.size_bytes = 0

    @contextmanager
    def part(self) -> Iterator[Part]:
        """Yield one request's part of them, given back at the end."""
        part = Part(self, self._limits)
        try:
            yield part
        finally:
            self.size_bytes -= part.size_bytes

    def take(self, size_bytes: int) -> None:
        """Raise Refusal if there is no room for so many more bytes."""
        if self.size_bytes + size_bytes > self._limits.bodies_bytes:
            raise Refusal(
                OVERLOADED,
                "too many large requests are being answered; try again in 1 s",
                {"retry-after": "1", **_CLOSE},
            )
        self.size_bytes += size_bytes


class Part:
    """The bytes of one request's body."""

    def __init__(self, held: Held, limits: Limits) -> None:
        self._held, self._limits = held, limits
        self.size_bytes = 0

    async def read(self, scope: Any, receive: Any) -> bytes:
        """Return the body of an ASGI request, inflated. Raises Refusal; Gone if the client hangs up meanwhile."""
        headers = {name: value for name, value in scope["headers"] if name in (b"content-length", b"content-encoding")}
        encoding = headers.get(b"content-encoding", b"").strip().lower().decode("latin-1")
        if encoding not in ("", "identity", *_WINDOWS):
            raise Refusal(UNKNOWN_TYPE, f"content encoding '{encoding:.40}' is unknown: gzip and deflate are", _CLOSE)
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared[:20]) > self._limits.body_bytes:
            self._too_large()
        try:
            async with asyncio.timeout(self._limits.body_s):
                content = await self._all(receive)
        except TimeoutError:
            raise Refusal(TIMED_OUT, f"the body did not arrive within {self._limits.body_s:g} s", _CLOSE) from None
        return self._inflated(content, _WINDOWS[encoding]) if encoding in _WINDOWS else content

    async def _all(self, receive: Any) -> bytes:
        chunks: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            if chunk := message.get("body", b""):
                self._take(len(chunk))
                chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _take(self, size_bytes: int) -> None:
        if self.size_bytes + size_bytes > self._limits.body_bytes:
            self._too_large()
        self._held.take(size_bytes)
        self.size_bytes += size_bytes

    def _too_large(self) -> None:
        raise Refusal(TOO_LARGE, f"the body has more than {self._limits.body_bytes} bytes", _CLOSE)

    def _inflated(self, content: bytes, window: int) -> bytes:
        inflater, limit = zlib.decompressobj(window), self._limits.body_bytes
        try:
            inflated = inflater.decompress(content, limit + 1)
        except zlib.error:
            raise Refusal(BAD_REQUEST, "the body is not compressed as its content encoding says") from None
        if len(inflated) > limit:
            raise Refusal(TOO_LARGE, f"the body inflates to more than {limit} bytes")
        if not inflater.eof or inflater.unused_data:
            raise Refusal(BAD_REQUEST, "the compressed body is cut short, or something stands after it")
        self._held.take(len(inflated))
        self.size_bytes += len(inflated)
        return inflated
