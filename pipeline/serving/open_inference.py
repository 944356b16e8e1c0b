"""The Open Inference Protocol, version 2, over REST, with the extension for binary tensors.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md and
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md.

A tensor's first dimension is the row. Numbers and texts have the shape `[row]` or `[row, 1]`. A number may come in any
type that fits into the model's without loss; NaN in a binary tensor is a missing number. A picture comes as pixels,
UINT8 `[row, height, width, channel]`, or as BYTES `[row]`: a file's bytes in a binary tensor, base64 in JSON.
"""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from starlette.requests import Request
from starlette.responses import Response

from pipeline.data.decoding import SIDE_LIMIT
from pipeline.records.served_model import ServedInput, ServedModel
from pipeline.serving.batching import Answers
from pipeline.serving.model import LoadedModel
from pipeline.serving.refusals import BAD_REQUEST, TOO_LARGE, Refusal
from pipeline.serving.service import Service, as_json, by, parsed
from pipeline.serving.values import IMAGE, Part, grouped, has_count, has_names, has_shape, in_form, kind_of, of_columns

HEADER = "inference-header-content-length"
_BYTES = "BYTES"
_NUMPY = {
    "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "<i1", "INT16": "<i2", "INT32": "<i4",
    "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
_DATATYPES = {
    "uint8": "UINT8", "int32": "INT32", "int64": "INT64", "float32": "FP32", "float64": "FP64", "string": _BYTES,
}  # fmt: skip
_PLATFORMS = {"saved_model": "tensorflow_savedmodel", "onnx": "onnxruntime_onnx"}
_LONGEST_SIDE = 2**31 - 1


async def infer(service: Service, request: Request) -> Response:
    """Answer tensors with tensors."""
    began_s = time.perf_counter()
    chosen = service.choosing.addressed(request.scope, **request.path_params)
    with service.admission.place(), service.held.part() as part:
        with service.admission.aside():
            body = await part.read(request.scope, request.receive)
        content, binary = _divided(request, body)
        parts = _parts(service, chosen.model.served, content, binary)
        is_binary = _is_binary(chosen.model.served, content)
        model, answers = await service.ask(request, chosen, parts, began_s)
    return _response(model, content, answers, is_binary=is_binary)


async def server(_service: Service, _request: Request) -> Response:
    """Describe the server."""
    return as_json({"name": "ratchet", "version": "1", "extensions": ["binary_tensor_data"]})


async def live(_service: Service, _request: Request) -> Response:
    """Say that the process answers."""
    return as_json({"live": True})


async def ready(service: Service, _request: Request) -> Response:
    """Say whether a model is served."""
    is_ready = service.models.current is not None and not service.is_ending
    return as_json({"live": True, "ready": is_ready}, 200 if is_ready else 503)


async def model_ready(service: Service, request: Request) -> Response:
    """Say that this model is served."""
    return as_json({"name": _model(service, request).served.name, "ready": True})


async def metadata(service: Service, request: Request) -> Response:
    """Describe the model's tensors."""
    model = _model(service, request)
    served = model.served
    inputs = [
        {"name": each.name, "datatype": _DATATYPES[each.dtype], "shape": [-1, *(-1 if side is None else side
         for side in each.shape)]}
        for each in served.inputs
    ]  # fmt: skip
    output = {"name": served.output, "datatype": "FP32", "shape": [-1, model.answer_width]}
    return as_json(
        {
            "name": served.name,
            "versions": service.choosing.versions(),
            "platform": _PLATFORMS.get(model.engine_name, model.engine_name),
            "inputs": inputs,
            "outputs": [output],
        }
    )


def _model(service: Service, request: Request) -> LoadedModel:
    return service.choosing.named(**request.path_params).model


def _divided(request: Request, body: bytes) -> tuple[dict[str, Any], memoryview]:
    """Return the JSON of a body, and the binary tensors after it."""
    text, length = request.headers.get(HEADER), len(body)
    if text is not None:
        if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) <= len(body)):
            raise Refusal(BAD_REQUEST, f"header {HEADER}: must be how many bytes of the body are JSON")
        length = int(text)
    content = parsed(body[:length])
    if not isinstance(content, dict):
        raise Refusal(BAD_REQUEST, f"the request must be an object, not {kind_of(content)}")
    if not isinstance(content.get("id", ""), str):
        raise Refusal(BAD_REQUEST, "id: must be a text")
    return content, memoryview(body)[length:]


def _parts(service: Service, served: ServedModel, content: dict[str, Any], binary: memoryview) -> list[Part]:
    given: dict[str, dict[str, Any]] = {}
    for tensor in _objects(content, "inputs"):
        name = tensor.get("name")
        if not isinstance(name, str) or name in given:
            raise Refusal(BAD_REQUEST, "inputs: each needs a name of its own")
        given[name] = tensor
    has_names([each.name for each in served.inputs], given, "inputs: ")
    taken = {each.name: each for each in served.inputs}
    values: dict[str, Any] = {}
    at, rows = 0, set()
    for name, tensor in given.items():  # binary tensors follow each other in this order
        shape = _shape(name, tensor)
        data, at = _data(service, taken[name], tensor, shape, binary, at)
        values[name] = data
        rows.add(shape[0])
    if at != len(binary):
        raise Refusal(BAD_REQUEST, f"{len(binary) - at} bytes stand after the last binary tensor")
    if len(rows) > 1:
        raise Refusal(BAD_REQUEST, f"the inputs have {', '.join(map(str, sorted(rows)))} rows: all need the same")
    has_count(rows.pop(), service.limits)
    ready = {name: column for name, column in values.items() if isinstance(column, np.ndarray)}
    encoded = {name: column for name, column in values.items() if name not in ready}
    if not encoded:
        return grouped(ready)
    pictures = served.changed(inputs=tuple(each for each in served.inputs if each.name in encoded))
    columns: dict[str, Any] = dict(ready)
    for some in of_columns(pictures, encoded, service.limits):
        for name, pixels in some.columns.items():
            column = columns.setdefault(name, [None] * len(encoded[name]))
            for place, one in zip(some.places, pixels, strict=True):
                column[place] = one
    return grouped({each.name: columns[each.name] for each in served.inputs})


def _objects(content: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = content.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Refusal(BAD_REQUEST, f"{key}: must be a list of objects")
    return found


def _parameters(where: str, holder: dict[str, Any]) -> dict[str, Any]:
    found = holder.get("parameters", {})
    if not isinstance(found, dict):
        raise Refusal(BAD_REQUEST, f"{where}: parameters must be an object")
    return found


def _shape(name: str, tensor: dict[str, Any]) -> list[int]:
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not 0 < len(shape) <= 8 or not all(type(side) is int for side in shape):
        raise Refusal(BAD_REQUEST, f"input '{name}': shape must be a list of whole numbers, the first the rows")
    if not all(0 <= side <= _LONGEST_SIDE for side in shape):
        raise Refusal(BAD_REQUEST, f"input '{name}': each side of its shape must be from 0 to {_LONGEST_SIDE}")
    return shape


def _data(
    service: Service, taken: ServedInput, tensor: dict[str, Any], shape: list[int], binary: memoryview, at: int
) -> tuple[npt.NDArray[Any] | list[Any], int]:
    """Return a tensor's column, or a list of encoded pictures; and where in the binary part the next one begins."""
    where, datatype = f"input '{taken.name}'", tensor.get("datatype")
    if not isinstance(datatype, str) or datatype not in (_BYTES, *_NUMPY):
        raise Refusal(BAD_REQUEST, f"{where}: datatype must be {_DATATYPES[taken.dtype]}")
    count = math.prod(shape)  # of Python's integers: it may be any
    size = _parameters(where, tensor).get("binary_data_size")
    if (size is None) == ("data" not in tensor):
        raise Refusal(
            BAD_REQUEST, f"{where}: either data or the parameter binary_data_size must be there, and not both"
        )
    values: list[Any] | memoryview
    if size is None:
        values = _flat(where, tensor["data"], count)
    elif type(size) is not int or not 0 <= size <= len(binary) - at:
        raise Refusal(
            BAD_REQUEST, f"{where}: binary_data_size does not fit the {len(binary) - at} bytes that are there"
        )
    else:
        values, at = binary[at : at + size], at + size
    if datatype == _BYTES:
        return _of_bytes(taken, values, shape, count), at
    if taken.dtype == "string":
        raise Refusal(BAD_REQUEST, f"{where}: datatype must be {_BYTES}")
    return _of_numbers(service, taken, values, _NUMPY[datatype], shape, count), at


def _flat(where: str, data: Any, count: int) -> list[Any]:
    """Return the elements of a tensor in JSON, which may be nested as its shape is or not."""
    if not isinstance(data, list):
        raise Refusal(BAD_REQUEST, f"{where}: data must be a list")
    flat: list[Any] = data
    while flat and isinstance(flat[0], list):
        if not all(isinstance(each, list) for each in flat):
            raise Refusal(BAD_REQUEST, f"{where}: data is nested in different depths")
        flat = [element for each in flat for element in each]
    if len(flat) != count:
        raise Refusal(BAD_REQUEST, f"{where}: data has {len(flat)} elements, its shape {count}")
    return flat


def _of_numbers(
    service: Service, taken: ServedInput, values: Any, given: str, shape: list[int], count: int
) -> npt.NDArray[Any]:
    where = f"input '{taken.name}'"
    if not np.can_cast(np.dtype(given), np.dtype(taken.dtype), "safe"):
        raise Refusal(BAD_REQUEST, f"{where}: its datatype does not fit into {_DATATYPES[taken.dtype]} without loss")
    if isinstance(values, memoryview):
        if len(values) != count * np.dtype(given).itemsize:
            raise Refusal(BAD_REQUEST, f"{where}: {len(values)} bytes, its shape and datatype say otherwise")
        flat = np.frombuffer(values, given)
    else:
        flat = _typed(where, values, given)
    if flat.dtype.kind == "f" and np.isinf(flat).any():
        raise Refusal(BAD_REQUEST, f"{where}: holds numbers that are not finite")
    column = flat.astype(taken.dtype, copy=False).reshape(_bare(taken, shape))
    most = service.limits.pixels
    if taken.kind == IMAGE and (max(shape[1:3]) > SIDE_LIMIT or math.prod(shape[1:3]) > most):
        raise Refusal(TOO_LARGE, f"{where}: pictures have at most {most} pixels and {SIDE_LIMIT} a side")
    return column


def _typed(where: str, values: list[Any], given: str) -> npt.NDArray[Any]:
    kind = np.dtype(given).kind
    allowed = (int, float) if kind == "f" else (int,)
    if not all(type(each) in allowed for each in values):
        raise Refusal(BAD_REQUEST, f"{where}: data must be {'numbers' if kind == 'f' else 'whole numbers'}")
    try:
        if kind == "f":
            with np.errstate(over="ignore"):
                return np.asarray([float(each) for each in values], given)
        return np.asarray(values, given)
    except OverflowError:
        raise Refusal(BAD_REQUEST, f"{where}: holds numbers that its datatype cannot") from None


def _bare(taken: ServedInput, shape: list[int]) -> list[int]:
    """Return a tensor's shape as the model takes it; raise Refusal if it cannot."""
    if not taken.shape and shape[1:] == [1]:
        return shape[:1]
    has_shape(taken, shape[1:], f"input '{taken.name}', without its rows: ")
    return shape


def _of_bytes(taken: ServedInput, values: Any, shape: list[int], count: int) -> npt.NDArray[Any] | list[Any]:
    where = f"input '{taken.name}'"
    if taken.dtype != "string" and taken.kind != IMAGE:
        raise Refusal(BAD_REQUEST, f"{where}: datatype must be {_DATATYPES[taken.dtype]}")
    if shape[1:] not in ([], [1]):
        raise Refusal(BAD_REQUEST, f"{where}: its shape must be [rows] or [rows, 1]")
    elements = _elements(where, values, count) if isinstance(values, memoryview) else values
    if taken.kind == IMAGE:
        return list(elements)
    texts = np.empty(count, np.object_)
    for row, element in enumerate(elements):
        try:
            text = element.decode() if isinstance(element, bytes) else element
        except UnicodeDecodeError:
            raise Refusal(BAD_REQUEST, f"{where}: row {row} is not UTF-8") from None
        if not isinstance(text, str):
            raise Refusal(BAD_REQUEST, f"{where}: row {row} must be a text, not {kind_of(text)}")
        texts[row] = in_form(text)
    return texts


def _elements(where: str, values: memoryview, count: int) -> list[bytes]:
    """Return the elements of a binary tensor of bytes: each is preceded by its length, four bytes, little-endian."""
    found: list[bytes] = []
    at, end = 0, len(values)
    while len(found) < count and at + 4 <= end:
        (length,) = struct.unpack_from("<I", values, at)
        at += 4 + length
        if at <= end:
            found.append(bytes(values[at - length : at]))
    if at != end or len(found) != count:
        raise Refusal(BAD_REQUEST, f"{where}: its bytes are not {count} elements, each with its length before it")
    return found


def _is_binary(served: ServedModel, content: dict[str, Any]) -> bool:
    """Return whether the answers are to be a binary tensor; raise Refusal if another output is asked for."""
    is_binary = _parameters("request", content).get("binary_data_output") is True
    for wanted in _objects(content, "outputs"):
        if wanted.get("name") != served.output:
            raise Refusal(BAD_REQUEST, f"outputs: '{served.output}' is the only one")
        is_binary = _parameters("outputs", wanted).get("binary_data", is_binary) is True
    return is_binary


def _response(model: LoadedModel, content: dict[str, Any], answers: Answers, *, is_binary: bool) -> Response:
    output: dict[str, Any] = {"name": model.served.output, "shape": list(answers.shape), "datatype": "FP32"}
    found = {"model_name": model.served.name, "model_version": model.version, "outputs": [output]}
    if content.get("id"):
        found["id"] = content["id"]
    if not is_binary:
        output["data"] = answers.ravel()
        return as_json(found, headers=by(model))
    tensor = np.ascontiguousarray(answers, "<f4").tobytes()
    output["parameters"] = {"binary_data_size": len(tensor)}
    head = orjson.dumps(found)
    headers = {HEADER: str(len(head)), **by(model)}
    return Response(head + tensor, 200, headers, "application/octet-stream")


_MODEL = "/v2/models/{name}"
_VERSIONED = ("", "/versions/{version}")
ROUTES: list[tuple[str, str, Callable[[Service, Request], Awaitable[Response]], str]] = [
    ("GET", "/v2", server, "Open Inference: the server."),
    ("GET", "/v2/health/live", live, "Open Inference: the process answers."),
    ("GET", "/v2/health/ready", ready, "Open Inference: a model is served."),
    *(("GET", f"{_MODEL}{which}/ready", model_ready, "Open Inference: this one is served.") for which in _VERSIONED),
    *(("GET", f"{_MODEL}{which}", metadata, "Open Inference: the model's tensors.") for which in _VERSIONED),
    *(("POST", f"{_MODEL}{which}/infer", infer, "Open Inference: answers.") for which in _VERSIONED),
]
