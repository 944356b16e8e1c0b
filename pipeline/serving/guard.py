"""What stands before all routes: a request's id, its token, its line in the log, and the end of every error.

An ASGI application around another. A request's address is never written anywhere, only the route that it met: an
address may hold what it should not.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from pipeline.serving.admission import overloaded
from pipeline.serving.refusals import OVERLOADED, UNAUTHORIZED, Gone, Refusal
from pipeline.serving.service import Service, as_json

_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_ID_BITS = 128  # of a request that brings no id: to tell requests apart, and no secret
_OPEN = {"/", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"}
_BEARER = "Bearer "
_OTHER, _ID_HEADER = "other", b"x-request-id"
_REMEMBERED_ANSWERS = 64
_REMEMBERED_ADDRESSES = 64  # of questions that were refused: to match one takes as long as to refuse it
GONE_STATUS = 499  # nobody reads it; the log and the metrics do
BUG = Refusal(500, "the service failed; its log says where")
_SAFE = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]


class Guard:
    """Lets a request through if it may pass, and answers for what goes wrong behind it."""

    def __init__(self, app: FastAPI, service: Service) -> None:
        self._app, self._service = app, service
        self._questions = [route for route in app.routes if isinstance(route, APIRoute) and route.methods == {"POST"}]
        self._known_route = lru_cache(_REMEMBERED_ADDRESSES)(self._route_at)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.perf_counter()
        request_id = scope["ratchet.id"] = _request_id(scope["headers"])
        status, has_started = 0, False

        async def answering(message: Message) -> None:
            nonlocal status, has_started
            if message["type"] == "http.response.start":
                status, has_started = message["status"], True
                message["headers"] = [*message.get("headers", ()), *_always(request_id)]
            await send(message)

        try:
            if refusal := self._refused(scope):
                raise refusal
            if scope["method"] == "POST" and (question := self._question(scope)):
                response = await question.endpoint(Request(scope, receive))
                await response(scope, receive, answering)
            else:
                await self._app(scope, receive, answering)
        except Gone:
            status = GONE_STATUS
        except Exception as error:  # noqa: BLE001 - a bug of the service: one line, and its kind in the log
            if not isinstance(error, Refusal):
                self._service.metrics.failed()
                self._service.log("bug", request_id=request_id, error=type(error).__name__, at=_place(error))
                error = BUG
            if not has_started:
                await refused(error)(scope, receive, answering)
        seconds = time.perf_counter() - began_s
        if (copy := scope.get("ratchet.copy")) is not None:
            self._service.shadow.take(copy)
        self._note(_route(scope), status, seconds, scope)

    def refuse_at_once(self, url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
        """Return the whole answer, as it is sent, to a question that is refused because of too much to do; None if not.

        For a server to ask before it does anything for a request. One that has no token, or no such address, is left to
        be refused for that, and does not count.
        """
        began_s, path = time.perf_counter(), url.partition(b"?")[0]
        if not self._service.admission.is_full or (route := self._known_route(path)) == _OTHER:
            return None
        request_id = _request_id(headers)
        scope = {"method": "POST", "path": path.decode("latin-1"), "headers": headers, "ratchet.id": request_id}
        if self._refused(scope) or (retry_s := self._service.admission.retry_s()) is None:
            return None
        before, after = _sent_if_overloaded(retry_s)
        self._note(route, OVERLOADED, time.perf_counter() - began_s, scope)
        return b"".join((before, request_id.encode(), after))

    def _route_at(self, path: bytes) -> str:
        text = path.decode("latin-1")
        return next((route.path for route in self._questions if route.path_regex.match(text)), _OTHER)

    def _note(self, route: str, status: int, seconds: float, scope: Mapping[str, Any]) -> None:
        """Write a request's line in the log, and its readings."""
        self._service.metrics.request(route, status, seconds)
        self._service.log(
            "request",
            request_id=scope["ratchet.id"],
            method=scope["method"] if scope["method"].isalpha() else _OTHER,
            route=route,
            status=status,
            ms=round(1000 * seconds, 3),
            rows=scope.get("ratchet.rows"),
            version=scope.get("ratchet.version"),
            role=scope.get("ratchet.role"),
            token=scope.get("ratchet.token"),
        )

    def _question(self, scope: Scope) -> APIRoute | None:
        """Return the route of a question to the model, None if there is none at this address.

        It is asked from here: the layers of the application around it take as long as the call of a small model.
        """
        for route in self._questions:
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                return route
        return None

    def _refused(self, scope: MutableMapping[str, Any]) -> Refusal | None:
        """Return why a request may not pass, None if it may. A token counts in the header alone."""
        tokens = self._service.tokens
        if tokens is None or scope["path"] in _OPEN:
            return None
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        text = given[0].decode("latin-1") if len(given) == 1 else ""
        if text[: len(_BEARER)].lower() == _BEARER.lower() and (owner := tokens.owner(text[len(_BEARER) :].strip())):
            scope["ratchet.token"] = owner
            return None
        if tokens.problem:
            self._service.log("tokens cannot be read", why=tokens.problem)
        why = "this token is not taken" if given else "a token is needed"
        return Refusal(
            UNAUTHORIZED, f"{why}: send it in the header `Authorization: Bearer TOKEN`", {"www-authenticate": "Bearer"}
        )


def refused(refusal: Refusal) -> Any:
    """Return the response to a request that is refused: a status, and one line."""
    return as_json({"error": str(refusal)}, refusal.status, refusal.headers)


@lru_cache(_REMEMBERED_ANSWERS)
def _sent_if_overloaded(retry_s: int) -> tuple[bytes, bytes]:
    """Return what is sent before and after the request's id."""
    response = refused(overloaded(retry_s))
    status = f"HTTP/1.1 {OVERLOADED} {HTTPStatus(OVERLOADED).phrase}\r\n".encode()
    named = [b"%b: %b\r\n" % each for each in (*response.raw_headers, *_SAFE)]
    return b"".join((status, *named, _ID_HEADER, b": ")), b"\r\n\r\n" + response.body


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name == _ID_HEADER and _ID.fullmatch(value):
            return str(value, "ascii")
    return f"{random.getrandbits(_ID_BITS):032x}"


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", _OTHER)


def _always(request_id: str) -> list[tuple[bytes, bytes]]:
    return [(_ID_HEADER, request_id.encode()), *_SAFE]


def _place(error: BaseException) -> str:
    """Return where an error was raised, without what it says, which may repeat values."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown"
