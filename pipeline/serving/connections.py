"""One connection of a client: uvicorn's, with bounds on a request's head, on unread answers, and on how many there are.

Uvicorn 0.54 bounds a connection's idle time only after its first answer, and keeps for ever what is not read of one.
Each connection is an open file: where there are as many as may be, the one that has been silent longest makes room for
a new one, so that idle ones keep nobody out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pipeline.serving.limits import Limits

HEAD_BYTES = 2**16
_SMALL_BYTES = 2**16  # a body that is read and thrown away rather than having its connection closed
Refuse = Callable[[bytes, Sequence[tuple[bytes, bytes]]], bytes | None]


def bounded(limits: Limits, refuse: Refuse) -> type[asyncio.Protocol]:
    """Return the protocol's class, for uvicorn to make one object a connection; see `Connection` for `refuse`."""
    own = {"head_s": limits.headers_s, "most": limits.connections, "silent": {}, "refuse": staticmethod(refuse)}
    return type("BoundedConnection", (Connection,), own)


class Connection(HttpToolsProtocol):
    """A connection that is closed if a request's head does not arrive within `head_s`, or is too large.

    It is cut if, within the time that it may idle, nothing of an answer is read.
    `silent` are those that wait for a request's head, the one that has waited longest first; one of them is closed if
    there are more than `most` connections.

    `refuse` is asked about each question (POST), by its address and headers, before anything is done for it: it returns
    the whole answer to one that is refused because of too much to do. That must cost little, or it is what overloads.
    """

    head_s = Limits.headers_s
    most = Limits.connections
    refuse: ClassVar[Callable[..., bytes | None]]
    silent: ClassVar[dict[Connection, None]] = {}
    _timer: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _is_in_head = True
    _head_bytes = 0
    _is_refused = False  # the question whose body comes now
    _has_refused = False  # one of those that came together

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            oldest = next(iter(self.silent), self)
            self.silent.pop(oldest, None)
            oldest.transport.close()
        self.silent[self] = None
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        if self._reading is not None:
            self._reading.cancel()
        self.silent.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass on what has come; refuse a head that does not end."""
        if self._is_in_head:
            self._head_bytes += len(data)
        self._has_refused = False
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
        """Let the request begin, unless it is refused at once."""
        self._stop()
        self._is_in_head = False
        self.silent.pop(self, None)
        answer = self.refuse(self.url, self.headers) if self._can_be_refused() else None
        self._is_refused = answer is not None
        if answer is None:
            super().on_headers_complete()
        else:
            always = b"".join(b"\r\n%b: %b" % each for each in self.server_state.default_headers)
            status, end, rest = answer.partition(b"\r\n")
            self.transport.write(b"".join((status, always, end, rest)))
            self._has_refused = True
            self._timer = self.loop.call_later(self.head_s, self._too_slow)  # for the body

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, if anybody wants it."""
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Let the request know that its body is whole."""
        if self._is_refused:
            self._stop()
            self.on_response_complete()
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin to be silent, unless more was asked; wait until the answer is read, if not all of it could be sent."""
        is_asked = bool(self.pipeline)
        super().on_response_complete()
        if not is_asked and not self.transport.is_closing():
            self.silent[self] = None
        if self._reading is None and self.transport.get_write_buffer_size():
            self._expect_reading()

    def _can_be_refused(self) -> bool:
        """Whether a whole answer can be sent at once: to a plain question with a small body, after all others.

        One of those that come together, and only where what was sent before is read: the others wait for each other.
        """
        if self._has_refused or self.flow.write_paused or self.transport.get_write_buffer_size():
            return False
        if (
            self.parser.get_http_version() != "1.1"
            or self.parser.get_method() != b"POST"
            or not self.parser.should_keep_alive()
            or self.parser.should_upgrade()
        ):
            return False
        if self.expect_100_continue or not (self.cycle is None or self.cycle.response_complete):
            return False
        lengths = [value for name, value in self.headers if name == b"content-length"]
        return len(lengths) == 1 and len(lengths[0]) < 9 and lengths[0].isdigit() and int(lengths[0]) <= _SMALL_BYTES

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
