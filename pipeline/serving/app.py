"""The routes of the service, as one ASGI application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pipeline.serving import open_inference, predicting, tensorflow_rest
from pipeline.serving.answers import description, identity
from pipeline.serving.guard import BUG, Guard, refused
from pipeline.serving.metrics import CONTENT_TYPE
from pipeline.serving.page import page
from pipeline.serving.refusals import Refusal
from pipeline.serving.service import Service, as_json

Route = Callable[[Service, Request], Awaitable[Response]]


def build(service: Service) -> Guard:
    """Return the application of a service, to be run by an ASGI server or asked by a test."""
    app = FastAPI(
        title="Ratchet",
        version="1",
        summary="Asks the champion.",
        docs_url=None,  # its pages load what they show from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # to whatever host the request names
        lifespan=_lifespan(service),
    )

    def add(method: str, path: str, answer: Route, summary: str, **more: Any) -> None:
        async def endpoint(request: Request) -> Response:
            return await answer(service, request)

        app.add_api_route(
            path,
            endpoint,
            methods=[method],
            summary=summary,
            operation_id=f"{method.lower()} {path}",
            response_class=Response,
            openapi_extra=more or None,
        )

    add("GET", "/health/live", _live, "The process answers.")
    add("GET", "/health/ready", _ready, "A model is served; which one, and which one was refused.")
    add("GET", "/metrics", _metrics, "Readings for Prometheus.")
    add("GET", "/model", _model, "What the model takes and gives.")
    add("POST", "/predict", predicting.predict, "Labels and probabilities, or numbers, of rows.", **predicting.OPENAPI)
    add("GET", "/", _page, "A page to try the model in a browser.")
    for method, path, answer, summary in (*tensorflow_rest.ROUTES, *open_inference.ROUTES):
        add(method, path, answer, summary)

    async def refuse(_: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        response: Response = refused(error)
        return response

    async def refuse_http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        said = {404: "there is nothing at this address; see /openapi.json", 405: "this address takes another method"}
        return as_json(
            {"error": said.get(error.status_code, "the request is broken")},
            error.status_code,
            dict(error.headers or {}),
        )

    async def fail(_: Request, _error: Exception) -> Response:  # which is raised again, and logged by the guard
        response: Response = refused(BUG)
        return response

    app.add_exception_handler(Exception, fail)
    app.add_exception_handler(Refusal, refuse)
    app.add_exception_handler(HTTPException, refuse_http)
    return Guard(app, service)


def _lifespan(service: Service) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        following = asyncio.ensure_future(service.models.follow())
        if service.readings is not None:
            await service.readings.offer(lambda: _readings(service))
        yield
        service.is_ending = True
        following.cancel()
        if service.readings is not None:
            service.readings.close()
        service.shadow.close()
        await service.batcher.close()
        await service.beside.close()
        if service.prediction_log is not None:
            await asyncio.to_thread(service.prediction_log.close)

    return lifespan


async def _live(_service: Service, _request: Request) -> Response:
    return as_json({"live": True})


async def _ready(service: Service, _request: Request) -> Response:
    current, not_taken = service.models.current, service.models.refused
    is_ready = current is not None and not service.is_ending
    content = {
        "ready": is_ready,
        "model": identity(current.served) if current else None,
        "refused": not_taken._asdict() if not_taken else None,
        "challenger": _challenger(service),
        "follower": _follower(service),
    }
    return as_json(content, 200 if is_ready else 503)


def _challenger(service: Service) -> dict[str, Any] | None:
    """Return which model is beside the champion, for which shares, and why it is not there; None if none is wanted."""
    if not service.models.has_challenger:
        return None
    beside, shares = service.models.challenger.taken, service.shares
    return {
        "model": identity(beside.model.served) if beside else None,
        "why": service.models.why_no_challenger,
        "canary_share": shares.canary,
        "shadow_share": shares.shadow,
    }


def _follower(service: Service) -> dict[str, Any] | None:
    found = service.models.following
    if found is None:
        return None
    silent_s = round(max(0.0, time.time() - found.looked_at_s), 1)
    return {"state": found.state, "why": found.why, "version": found.version, "silent_s": silent_s}


async def _metrics(service: Service, _request: Request) -> Response:
    text = _readings(service)
    if service.readings is not None:
        text = await service.readings.of_all(text)
    return Response(text, media_type=CONTENT_TYPE)


def _readings(service: Service) -> bytes:
    return service.metrics.text(
        model=service.models.current,
        queued_rows=service.batcher.queued_rows,
        rows_per_s=service.batcher.rows_per_s,
        bodies_bytes=service.held.size_bytes,
        following=service.models.following,
    )


async def _model(service: Service, _request: Request) -> Response:
    model = service.choosing.champion()
    return as_json({**description(model.served, model.engine_name), "challenger": _challenger(service)})


async def _page(_service: Service, _request: Request) -> Response:
    return page()
