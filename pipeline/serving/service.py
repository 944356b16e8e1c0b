"""What all routes share: the model that is served, the queue before it, and how a question is read and answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from starlette.requests import Request
from starlette.responses import Response

from pipeline.serving.admission import Admission
from pipeline.serving.batching import Answers, Batcher
from pipeline.serving.bodies import Held
from pipeline.serving.limits import Limits
from pipeline.serving.log import Log
from pipeline.serving.metrics import ENCODE, READ, Metrics
from pipeline.serving.model import LoadedModel
from pipeline.serving.models import Models
from pipeline.serving.prediction_log import PredictionLog
from pipeline.serving.readings import Readings
from pipeline.serving.refusals import BAD_REQUEST, NOT_FOUND, OVERLOADED, UNANSWERABLE, Refusal
from pipeline.serving.tokens import Tokens
from pipeline.serving.values import Part

JSON = "application/json"
TIMEOUT_HEADER = "x-timeout-ms"
_REFUSED_BY_MODEL = {"InvalidArgumentError", "InvalidArgument"}  # TensorFlow's, ONNX Runtime's


@dataclass
class Service:
    """One service: everything that its routes use."""

    models: Models
    batcher: Batcher
    metrics: Metrics
    log: Log
    limits: Limits = field(default_factory=Limits)
    tokens: Tokens | None = None
    prediction_log: PredictionLog | None = None
    readings: Readings | None = None  # of the other workers, if there are any
    is_ending: bool = False

    def __post_init__(self) -> None:
        self.held = Held(self.limits)
        self.admission = Admission(self.limits, self.metrics.shed, time.perf_counter)

    def model(self) -> LoadedModel:
        """Return the model that is served; raise Refusal if there is none yet."""
        if self.models.current is None:
            why = self.models.refused.why if self.models.refused else "none has come yet"
            raise Refusal(OVERLOADED, f"no model is served: {why}", {"retry-after": "5"})
        return self.models.current

    def named(self, name: str, version: str | None = None, label: str | None = None) -> LoadedModel:
        """Return the model of a name, perhaps of a version or a label; raise Refusal if it is not served."""
        model = self.model()
        served = model.served
        if name != served.name:
            raise Refusal(NOT_FOUND, f"no model '{name:.80}' is served: '{served.name}' is")
        if version is not None and version != model.version:
            raise Refusal(NOT_FOUND, f"version '{version:.20}' of {served.name} is not served: {model.version} is")
        if label is not None and label != "champion":
            raise Refusal(NOT_FOUND, f"no label '{label:.80}': champion is the only one")
        return model

    async def ask(self, request: Request, model: LoadedModel, parts: Sequence[Part], began_s: float) -> Answers:
        """Return the answers to all parts of a request, in the order of its rows; all are of the one model."""
        deadline_s = self._deadline_s(request)
        self.metrics.part(READ, time.perf_counter() - began_s)
        try:
            if len(parts) == 1:
                answers = await self.batcher.ask(model, parts[0].columns, deadline_s, request.receive)
            else:
                answers = await self._in_parts(request, model, parts, deadline_s)
        except (RuntimeError, ValueError, TypeError) as error:
            raise self._not_answered(error) from error
        except Exception as error:
            if type(error).__name__ in _REFUSED_BY_MODEL:
                raise self._not_answered(error) from error
            raise
        rows = len(answers)
        self.metrics.answered(model.version, rows)
        request.scope["ratchet.rows"], request.scope["ratchet.version"] = rows, model.version
        if self.prediction_log is not None:
            self.prediction_log.note(model, parts, answers, request.scope.get("ratchet.id", ""))
        return answers

    async def _in_parts(
        self, request: Request, model: LoadedModel, parts: Sequence[Part], deadline_s: float
    ) -> Answers:
        asked = [
            asyncio.ensure_future(self.batcher.ask(model, part.columns, deadline_s, request.receive)) for part in parts
        ]
        try:
            found = await asyncio.gather(*asked)
        finally:
            for each in asked:
                each.cancel()
        answers = np.empty((sum(map(len, found)), model.answer_width), np.float32)
        for part, some in zip(parts, found, strict=True):
            answers[part.places] = some
        return answers

    def _not_answered(self, error: Exception) -> Refusal:
        kind = type(error).__name__
        self.log("model failed", error=kind)  # its text may repeat values
        if kind in _REFUSED_BY_MODEL:
            return Refusal(UNANSWERABLE, "the model refuses these values")
        self.metrics.failed()
        return Refusal(500, "the model failed; the service's log says by what kind of error")

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
        response = as_json(content)
        self.metrics.part(ENCODE, time.perf_counter() - began_s)
        response.headers.update(by(model))
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
