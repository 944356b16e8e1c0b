"""One connection of a client: uvicorn's, with bounds on a request's head, and on answers that nobody reads.

Uvicorn 0.54 bounds a connection's idle time only after its first answer, and keeps for ever what is not read of one.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pipeline.serving.limits import Limits

HEAD_BYTES = 2**16


def bounded(limits: Limits) -> type[asyncio.Protocol]:
    """Return the protocol's class, for uvicorn to make one object a connection."""
    return type("BoundedConnection", (Connection,), {"head_s": limits.headers_s})


class Connection(HttpToolsProtocol):
    """A connection that is closed if a request's head does not arrive within `head_s`, or is too large.

    It is cut if, within the time that it may idle, nothing of an answer is read.
    """

    head_s = Limits.headers_s
    _timer: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _is_in_head = True
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        if self._reading is not None:
            self._reading.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass on what has come; refuse a head that does not end."""
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of a head."""
        super().on_message_begin()
        if not self._is_in_head:
            self._head_bytes = 0
            self._expect_head()

    def on_headers_complete(self) -> None:
        """Let the request begin."""
        self._stop()
        self._is_in_head = False
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Begin to wait until the answer is read, if not all of it could be sent at once."""
        super().on_response_complete()
        if self._reading is None and self.transport.get_write_buffer_size():
            self._expect_reading()

    def _expect_reading(self) -> None:
        left_bytes = self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(self.timeout_keep_alive, self._look_at_reading, left_bytes)

    def _look_at_reading(self, before_bytes: int) -> None:
        self._reading = None
        left_bytes = self.transport.get_write_buffer_size()
        if left_bytes >= before_bytes:
            self.transport.abort()
        elif left_bytes:
            self._expect_reading()

    def _expect_head(self) -> None:
        self._is_in_head = True
        self._stop()
        self._timer = self.loop.call_later(self.head_s, self._too_slow)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
