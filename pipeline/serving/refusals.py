"""Why a request gets no answer: a status, and one line for whoever sent it."""

from __future__ import annotations

from pipeline.errors import printable, shortened

BAD_REQUEST, UNAUTHORIZED, NOT_FOUND, TIMED_OUT = 400, 401, 404, 408
TOO_LARGE, UNKNOWN_TYPE, UNANSWERABLE, OVERLOADED, TOO_LATE = 413, 415, 422, 503, 504


class Refusal(Exception):
    """A request that is refused. Its text is one printable line; `headers` go with it."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(shortened(_sendable(printable(" ".join(message.split())))))
        self.status = status
        self.headers = headers or {}


class Gone(Exception):
    """The client has hung up: nobody waits for an answer."""


def _sendable(text: str) -> str:
    """Return a text without halves of surrogate pairs, which UTF-8 cannot carry."""
    return text.encode("utf-8", "backslashreplace").decode()
