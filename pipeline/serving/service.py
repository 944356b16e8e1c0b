"""What all routes share: the model that is served, the queue before it, and how a question is read and answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson
from starlette.requests import Request
from starlette.responses import Response

from pipeline.serving.admission import Admission
from pipeline.serving.batching import Answers, Batcher
from pipeline.serving.bodies import Held
from pipeline.serving.choosing import Choosing
from pipeline.serving.limits import Limits
from pipeline.serving.log import Log
from pipeline.serving.metrics import ENCODE, READ, ChallengerCalls, Metrics
from pipeline.serving.model import LoadedModel
from pipeline.serving.models import Models
from pipeline.serving.prediction_log import PredictionLog
from pipeline.serving.readings import Readings
from pipeline.serving.refusals import BAD_REQUEST, OVERLOADED, TOO_LATE, UNANSWERABLE, Gone, Refusal
from pipeline.serving.roles import CHALLENGER, CHAMPION, Chosen, Shares
from pipeline.serving.shadow import Copy, Shadow
from pipeline.serving.tokens import Tokens
from pipeline.serving.values import Part

JSON = "application/json"
TIMEOUT_HEADER = "x-timeout-ms"
_REFUSED_BY_MODEL = {"InvalidArgumentError", "InvalidArgument"}  # TensorFlow's, ONNX Runtime's
_FAILED = 500
_WHY, _FAILED_WHY = {UNANSWERABLE: "refused", TOO_LATE: "late", OVERLOADED: "busy"}, "failed"


@dataclass
class Service:
    """One service: everything that its routes use. The challenger has a queue of its own, of `calls_beside` calls."""

    models: Models
    batcher: Batcher
    metrics: Metrics
    log: Log
    limits: Limits = field(default_factory=Limits)
    tokens: Tokens | None = None
    prediction_log: PredictionLog | None = None
    readings: Readings | None = None  # of the other workers, if there are any
    shares: Shares = field(default_factory=Shares)
    calls_beside: int = 1
    is_ending: bool = False

    def __post_init__(self) -> None:
        self.held = Held(self.limits)
        self.choosing = Choosing(self.models, self.shares)
        self.admission = Admission(self.limits, self.batcher.overload, self.metrics.shed, time.perf_counter)
        rows = min(self.limits.queue_rows, self.limits.batch_rows)
        few = replace(self.limits, queue_rows=rows, queue_s=self.limits.canary_s)
        self.beside = Batcher(few, ChallengerCalls(self.metrics), calls=self.calls_beside)
        self.shadow = Shadow((self.batcher, self.beside), self.limits, self.metrics, self.log)

    async def ask(
        self, request: Request, chosen: Chosen, parts: Sequence[Part], began_s: float
    ) -> tuple[LoadedModel, Answers]:
        """Return the answers to all parts of a request, in the order of its rows, and the one model that gave them.

        If the challenger of a canary does not answer, whatever the reason, the champion does.
        """
        deadline_s = self._deadline_s(request)
        self.metrics.part(READ, time.perf_counter() - began_s)
        answers = await self._tried(request, chosen, parts, deadline_s) if chosen.instead else None
        model, role = chosen.model, chosen.role
        if answers is None:
            if chosen.instead:
                model, role = chosen.instead, CHAMPION
            try:
                answers = await self._asked(request, model, role, parts, deadline_s)
            except Refusal as refusal:
                if refusal.status == _FAILED:
                    self.metrics.failed()
                raise
        if role == CHAMPION:
            self.batcher.overload.note_request(model, time.perf_counter() - began_s)
        self.metrics.answered(model.version, len(answers))
        request.scope.update({"ratchet.rows": len(answers), "ratchet.version": model.version, "ratchet.role": role})
        if self.prediction_log is not None:
            self.prediction_log.note(model, role, parts, answers, request.scope.get("ratchet.id", ""))
        if not chosen.instead and (challenger := self.choosing.copied_to(request.scope, model)) is not None:
            request.scope["ratchet.copy"] = Copy(model, challenger, parts, answers)  # for after the answer was sent
        return model, answers

    async def _tried(
        self, request: Request, chosen: Chosen, parts: Sequence[Part], deadline_s: float
    ) -> Answers | None:
        """Return the answers of a canary's challenger; None if it has none in time."""
        now_s = asyncio.get_running_loop().time()
        until_s = now_s + min(self.limits.canary_s, (deadline_s - now_s) / 2)
        try:
            if self.held.size_bytes <= self.limits.bodies_bytes / 2:
                return await self._asked(request, chosen.model, chosen.role, parts, until_s)
            self.metrics.not_answered_by(
                chosen.role, chosen.model.version, "busy"
            )  # or bodies that wait keep others out
        except Gone:
            raise
        except Exception as error:  # noqa: BLE001 - no request is to fail on account of a challenger
            why = str(error) if isinstance(error, Refusal) else type(error).__name__
            self.log("challenger did not answer", why=why)
        self.metrics.fell_back()
        return None

    async def _asked(
        self, request: Request, model: LoadedModel, role: str, parts: Sequence[Part], deadline_s: float
    ) -> Answers:
        """Return a model's answers, by the queue of its role."""
        began_s = time.perf_counter()
        batcher, place = (self.beside, self.admission.aside()) if role == CHALLENGER else (self.batcher, nullcontext())
        try:
            with place:
                answers = await self._in_parts(batcher, request, model, parts, deadline_s)
        except Gone:
            raise
        except Exception as error:
            said = self._said(error, role)
            why = _WHY.get(said.status, _FAILED_WHY) if isinstance(said, Refusal) else _FAILED_WHY
            self.metrics.not_answered_by(role, model.version, why)
            if said is error:
                raise
            raise said from error
        self.metrics.answered_by(role, model.version, time.perf_counter() - began_s)
        return answers

    async def _in_parts(
        self, batcher: Batcher, request: Request, model: LoadedModel, parts: Sequence[Part], deadline_s: float
    ) -> Answers:
        if len(parts) == 1:
            return await batcher.ask(model, parts[0].columns, deadline_s, request.receive)
        asked = [asyncio.ensure_future(batcher.ask(model, part.columns, deadline_s, request.receive)) for part in parts]
        try:
            found = await asyncio.gather(*asked)
        finally:
            for each in asked:
                each.cancel()
        answers = np.empty((sum(map(len, found)), model.answer_width), np.float32)
        for part, some in zip(parts, found, strict=True):
            answers[part.places] = some
        return answers

    def _said(self, error: Exception, role: str) -> Exception:
        """Return what is said of an error: a refusal, unless it is a bug."""
        kind = type(error).__name__
        is_refused = kind in _REFUSED_BY_MODEL
        if isinstance(error, Refusal) or not (is_refused or isinstance(error, RuntimeError | ValueError | TypeError)):
            return error
        self.log("model failed", error=kind, role=role)  # its text may repeat values
        if is_refused:
            return Refusal(UNANSWERABLE, "the model refuses these values")
        return Refusal(_FAILED, "the model failed; the service's log says by what kind of error")

    def _deadline_s(self, request: Request) -> float:
        text, most_s = request.headers.get(TIMEOUT_HEADER), self.limits.request_s
        now_s = asyncio.get_running_loop().time()
        if text is None:
            return now_s + most_s
        if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
            raise Refusal(BAD_REQUEST, f"header {TIMEOUT_HEADER}: must be a whole number of milliseconds above 0")
        return now_s + min(most_s, int(text) / 1000)

    def answered(self, model: LoadedModel, content: dict[str, Any]) -> Response:
        """Return the response to a question, with the version that answered in its headers."""
        began_s = time.perf_counter()
        response = as_json(content, headers=by(model))
        self.metrics.part(ENCODE, time.perf_counter() - began_s)
        return response


def by(model: LoadedModel) -> dict[str, str]:
    """Return the headers that say which version answered."""
    return {"x-model-version": model.version, "x-model-digest": model.served.digest}


def as_json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a response of JSON; a number that is not finite becomes null."""
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), status, headers, JSON)


def parsed(body: bytes) -> Any:
    """Return the JSON value of a body; raise Refusal if it is none (RFC 8259: in UTF-8, without NaN)."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal(BAD_REQUEST, f"the body is not JSON: {error.msg} at character {error.pos}") from None
