"""The service's log: one JSON object a line, with the request's id and never a value of what was asked."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any, Protocol, TextIO

import orjson


class Log(Protocol):
    """Takes events: a name, and values that JSON has."""

    def __call__(self, event: str, /, **values: Any) -> None:
        """Write one event."""


class JsonLog:
    """Writes events to a stream, `sys.stderr` if no other is given; goes on when nobody reads it any more.

    Each line has the values `always`, too.
    """

    def __init__(self, stream: TextIO | None = None, **always: Any) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._always = always

    def __call__(self, event: str, /, **values: Any) -> None:
        """Write one event as a line."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = orjson.dumps({"at_utc": at, "event": event, **self._always, **values}).decode()
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # its reader has gone, or its disk is full: no request fails for a line
            pass
