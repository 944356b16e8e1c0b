"""TensorFlow Serving's REST interface: predict by rows or by columns, status, metadata.

https://www.tensorflow.org/tfx/serving/api_rest. A body is read as JSON whatever its content type says, as there. What
differs: NaN is no JSON and is refused, a missing number is `null`; a picture may also be `{"b64": …}` of a file, which
is decoded here. The labels `champion` and `challenger` are the versions that are served; who names neither label nor
version may be answered by either.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pipeline.records.served_model import ServedModel
from pipeline.serving.refusals import BAD_REQUEST, Refusal
from pipeline.serving.service import Service, as_json, parsed
from pipeline.serving.values import Part, kind_of, of_columns, of_rows

_MODEL = "/v1/models/{name}"
_VERSIONED = ("", "/versions/{version}", "/labels/{label}")
_KEYS = ("signature_name", "instances", "inputs")
_TYPES = {
    "uint8": "DT_UINT8", "int32": "DT_INT32", "int64": "DT_INT64", "float32": "DT_FLOAT", "float64": "DT_DOUBLE",
    "string": "DT_STRING",
}  # fmt: skip


async def predict(service: Service, request: Request) -> Response:
    """Answer `instances` with `predictions`, or `inputs` with `outputs`."""
    began_s = time.perf_counter()
    chosen = service.choosing.addressed(request.scope, **_address(request))
    with service.admission.place(), service.held.part() as part:
        with service.admission.aside():
            body = await part.read(request.scope, request.receive)
        content = parsed(body)
        parts, answer = _parts(service, chosen.model.served, content)
        model, answers = await service.ask(request, chosen, parts, began_s)
    return service.answered(model, {answer: answers})


async def status(service: Service, request: Request) -> Response:
    """Say that the version is available; of a model, each of its versions."""
    found = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    address = _address(request)
    versions = service.choosing.versions() if len(address) == 1 else []
    named = service.choosing.named(**address).model.version
    return as_json({"model_version_status": [{"version": each, **found} for each in versions or [named]]})


async def metadata(service: Service, request: Request) -> Response:
    """Describe the signature."""
    model = service.choosing.named(**_address(request)).model
    served = model.served
    signature = {
        "inputs": {each.name: _tensor(each.name, each.dtype, each.shape) for each in served.inputs},
        "outputs": {served.output: _tensor(served.output, "float32", (model.answer_width,))},
        "method_name": "tensorflow/serving/predict",
    }
    spec = {"name": served.name, "signature_name": "", "version": model.version}
    signatures = {"signature_def": {served.signature: signature}}
    return as_json({"model_spec": spec, "metadata": {"signature_def": signatures}})


def _address(request: Request) -> dict[str, str]:
    """Return what a request names: `name`, and perhaps `version` or `label`."""
    return dict(request.path_params)


def _parts(service: Service, served: ServedModel, content: Any) -> tuple[list[Part], str]:
    """Return what is asked, and the key of the answer."""
    if not isinstance(content, dict):
        raise Refusal(BAD_REQUEST, f"the body must be an object with instances or inputs, not {kind_of(content)}")
    for key in content:
        if key not in _KEYS:
            raise Refusal(BAD_REQUEST, f"no key '{key:.80}': {', '.join(_KEYS)} are")
    if content.get("signature_name", served.signature) not in (served.signature, ""):
        raise Refusal(BAD_REQUEST, f"signature_name: '{served.signature}' is the only signature")
    if ("instances" in content) == ("inputs" in content):
        raise Refusal(BAD_REQUEST, "either instances or inputs must be there, and not both")
    if "instances" in content:
        return of_rows(served, content["instances"], service.limits), "predictions"
    columns = content["inputs"]
    if not isinstance(columns, dict):
        if len(served.inputs) > 1:
            raise Refusal(BAD_REQUEST, f"inputs must be an object of lists by feature, not {kind_of(columns)}")
        columns = {served.inputs[0].name: columns}
    return of_columns(served, columns, service.limits), "outputs"


def _tensor(name: str, dtype: str, shape: tuple[int | None, ...]) -> dict[str, Any]:
    sizes = [-1, *(-1 if side is None else side for side in shape)]
    dims = [{"size": str(size), "name": ""} for size in sizes]
    return {"dtype": _TYPES[dtype], "tensor_shape": {"dim": dims, "unknown_rank": False}, "name": name}


ROUTES: list[tuple[str, str, Callable[[Service, Request], Awaitable[Response]], str]] = [
    *(("POST", f"{_MODEL}{which}:predict", predict, "TensorFlow Serving: predict.") for which in _VERSIONED),
    *(("GET", f"{_MODEL}{which}/metadata", metadata, "TensorFlow Serving: the signature.") for which in _VERSIONED),
    *(("GET", f"{_MODEL}{which}", status, "TensorFlow Serving: status.") for which in _VERSIONED),
]
