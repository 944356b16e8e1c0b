"""`POST /predict`: rows as JSON, a picture or a text as it is, or a form, to labels or numbers."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pipeline.records.served_model import ServedInput, ServedModel
from pipeline.serving.answers import identity, predictions
from pipeline.serving.forms import fields_of
from pipeline.serving.pictures import is_quick
from pipeline.serving.refusals import BAD_REQUEST, UNKNOWN_TYPE, Refusal
from pipeline.serving.service import JSON, Service, parsed
from pipeline.serving.values import IMAGE, Part, has_count, has_names, in_form, kind_of, of_columns, of_rows

_BYTES, _FORM, _TEXT = "application/octet-stream", "multipart/form-data", "text/plain"
_ROWS = "rows"
_SLOW_BYTES = 2**18  # of JSON, perhaps with pictures in it: read beside the event loop
_FEW_PICTURES = 8


async def predict(service: Service, request: Request) -> Response:
    """Answer the rows of a request."""
    began_s = time.perf_counter()
    chosen = service.choosing.drawn(request.scope)
    with service.admission.place(), service.held.part() as part:
        with service.admission.aside():
            body = await part.read(request.scope, request.receive)
        parts = await _parts(service, request, chosen.model.served, body)
        model, answers = await service.ask(request, chosen, parts, began_s)
    return service.answered(model, {"model": identity(model.served), "predictions": predictions(model.served, answers)})


async def _parts(service: Service, request: Request, served: ServedModel, body: bytes) -> list[Part]:
    given = request.headers.get("content-type", "")
    kind = given.partition(";")[0].strip().lower()
    limits = service.limits
    if kind == JSON or kind.endswith("+json"):
        if len(body) > _SLOW_BYTES:
            return await asyncio.to_thread(lambda: of_rows(served, _rows(served, parsed(body)), limits))
        return of_rows(served, _rows(served, parsed(body)), limits)
    if kind.startswith("image/") or kind == _BYTES:
        taken = _only(served, IMAGE, "picture")
        return await _of_values(served, {taken.name: [body]}, service)
    if kind == _TEXT:
        taken = _only(served, "text", "text")
        return of_columns(served, {taken.name: [_utf8(body, "the body")]}, limits)
    if kind == _FORM:
        return await _of_form(service, served, given, body)
    raise Refusal(
        UNKNOWN_TYPE, f"content type '{kind:.60}' is not taken: {JSON}, {_FORM}, image/…, {_BYTES} and {_TEXT} are"
    )


def _rows(served: ServedModel, content: Any) -> Any:
    """Return the rows of a JSON body: a list, an object `{"rows": […]}`, or one row."""
    if isinstance(content, list):
        return content
    if not isinstance(content, dict):
        raise Refusal(BAD_REQUEST, f'the body must be a row, a list of rows or {{"rows": […]}}, not {kind_of(content)}')
    names = {each.name for each in served.inputs}
    if set(content) == {_ROWS} and names != {_ROWS}:
        return content[_ROWS]
    return [content]


def _only(served: ServedModel, kind: str, what: str) -> ServedInput:
    if [each.kind for each in served.inputs] != [kind]:
        listed = ", ".join(f"{each.name} ({each.kind})" for each in served.inputs)
        raise Refusal(UNKNOWN_TYPE, f"{served.name} does not take a {what} alone: its features are {listed}")
    return served.inputs[0]


async def _of_values(served: ServedModel, columns: dict[str, list[Any]], service: Service) -> list[Part]:
    """Return the parts of columns, in which pictures may be bytes: large ones are decoded beside the event loop."""
    pictures = [value for column in columns.values() for value in column if isinstance(value, bytes)]
    if all(map(is_quick, pictures)) and len(pictures) <= _FEW_PICTURES:
        return of_columns(served, columns, service.limits)
    return await asyncio.to_thread(of_columns, served, columns, service.limits)


async def _of_form(service: Service, served: ServedModel, content_type: str, body: bytes) -> list[Part]:
    """Return the parts of a form: one row, or of a model with one feature as many as it has fields."""
    fields = fields_of(content_type, body, service.limits.rows)
    if len(served.inputs) == 1:
        [taken] = served.inputs
        has_count(len(fields), service.limits)
        return await _of_values(served, {taken.name: [_value(taken, value) for _, value in fields]}, service)
    given = dict(fields)
    if len(given) != len(fields):
        raise Refusal(BAD_REQUEST, "a field is there twice; several rows are sent as JSON")
    has_names([each.name for each in served.inputs], given, "form: ")
    return await _of_values(served, {each.name: [_value(each, given[each.name])] for each in served.inputs}, service)


def _value(taken: ServedInput, value: bytes) -> Any:
    """Return a field's value as JSON would give it, a picture's bytes as they are; an empty number is missing."""
    if taken.kind == IMAGE:
        return value
    text = _utf8(value, f"field '{taken.name}'")
    if taken.dtype == "string":
        return text
    if not text.strip():
        return None
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refusal(BAD_REQUEST, f"field '{taken.name}': must be a number") from None


def _no_constant(name: str) -> float:
    raise ValueError(name)


def _utf8(content: bytes, what: str) -> str:
    try:
        return in_form(content.decode())
    except UnicodeDecodeError:
        raise Refusal(BAD_REQUEST, f"{what} is not UTF-8") from None


_ROW = {"type": "object", "description": "A value for each feature; null says that it is missing."}
OPENAPI: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {
                "schema": {
                    "oneOf": [
                        _ROW,
                        {"type": "array", "items": _ROW},
                        {
                            "type": "object",
                            "properties": {_ROWS: {"type": "array", "items": _ROW}},
                            "required": [_ROWS],
                        },
                    ]
                }
            },
            _FORM: {"schema": {"type": "object", "description": "A field for each feature; a picture is a file."}},
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            _BYTES: {"schema": {"type": "string", "format": "binary", "description": "A picture."}},
            _TEXT: {"schema": {"type": "string", "description": "The text of a model that takes one text."}},
        },
    },
}
