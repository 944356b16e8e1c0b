"""No bytes whatever make the service fail: each question is answered or refused in one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.serving.app import build
from pipeline.serving.limits import Limits
from tests.serving import made
from tests.serving.asgi import asked
from tests.serving.running import serving
from tests.serving.test_predicting import form, png

LIMITS = Limits(body_bytes=2**14, pixels=4096, rows=8, batch_rows=4)
ALLOWED = {200, 400, 408, 413, 415, 422}
CONTENT_TYPES = st.sampled_from(
    ["application/json", "image/png", "text/plain", "application/octet-stream", "multipart/form-data; boundary=edge"]
) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace").decode("latin-1"))
EVERY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module", params=["all", "image", "text"])
def app(request: pytest.FixtureRequest) -> Iterator[Any]:
    kinds = {"all": made.ALL, "image": made.IMAGE, "text": made.TEXT}[request.param]
    return build(serving(made.model(kinds), LIMITS))


def holds(app: Any, path: str, body: bytes, headers: dict[str, str]) -> None:
    answer = asked(app, "POST", path, body, headers)
    assert answer.status in ALLOWED, answer.body
    if answer.status != 200:
        assert answer.error


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["image", "distance", "carrier", "body", "rows", "b64", "instances", "inputs", "x"]), inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
PIECES = st.lists(
    st.sampled_from(
        [b"--edge", b"--edge--", b"\r\n", b"\n", b"Content-Disposition: form-data; name=", b'"image"', b'"distance"',
         b'; filename="x"', b"Content-Type: text/plain", png(), b"1", b"\xff"]
    ) | st.binary(max_size=8),
    max_size=25,
).map(b"".join)  # fmt: skip


@pytest.mark.long
@EVERY
@given(
    body=st.binary(max_size=300), content_type=CONTENT_TYPES, encoding=st.sampled_from(["", "gzip", "deflate", "br"])
)
def test_any_bytes_to_predict(app: Any, body: bytes, content_type: str, encoding: str) -> None:
    holds(app, "/predict", body, {"content-type": content_type, **({"content-encoding": encoding} if encoding else {})})


@pytest.mark.long
@EVERY
@given(value=VALUES)
def test_any_json_to_predict_and_to_tensorflow_rest(app: Any, value: Any) -> None:
    body = json.dumps(value).encode()
    holds(app, "/predict", body, {"content-type": "application/json"})
    holds(app, "/v1/models/zoo:predict", body, {})
    for key in ("instances", "inputs"):
        holds(app, "/v1/models/zoo:predict", json.dumps({key: value}).encode(), {})


@pytest.mark.long
@EVERY
@given(body=PIECES, boundary=st.sampled_from(["edge", "", "é", '"edge"', "edge; charset=zip", "edge; charset=\0"]))
def test_any_form(app: Any, body: bytes, boundary: str) -> None:
    holds(app, "/predict", body, {"content-type": f"multipart/form-data; boundary={boundary}"})


@pytest.mark.long
@EVERY
@given(
    cut=st.integers(0, 400),
    place=st.integers(0, 400),
    put=st.binary(max_size=3),
    which=st.sampled_from(["png", "form"]),
)
def test_any_damage_to_a_picture(app: Any, cut: int, place: int, put: bytes, which: str) -> None:
    content, headers = (png(), {"content-type": "image/png"}) if which == "png" else form(("image", png()))
    content = content[: cut or None]
    holds(app, "/predict", content[:place] + put + content[place + len(put) :], headers)


TENSOR = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["image", "distance", "carrier", "body"]) | VALUES,
        "shape": st.lists(st.integers(-2, 5), max_size=5) | st.just([2**31, 2**31]) | VALUES,
        "datatype": st.sampled_from(["UINT8", "FP64", "FP16", "INT64", "BYTES", "BOOL"]) | VALUES,
        "data": st.lists(st.integers(-1, 300) | st.text(max_size=3), max_size=6) | VALUES,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": st.integers(-1, 40) | VALUES}) | VALUES,
    },
)
REQUESTS = st.fixed_dictionaries(
    {"inputs": st.lists(TENSOR, max_size=5) | VALUES},
    optional={"id": VALUES, "parameters": VALUES, "outputs": VALUES},
)


@pytest.mark.long
@EVERY
@given(content=REQUESTS, rest=st.binary(max_size=40), length=st.none() | st.integers(-2, 60))
def test_any_tensors(app: Any, content: Any, rest: bytes, length: int | None) -> None:
    head = json.dumps(content).encode()
    given_length = len(head) if length is None else length
    headers = {"inference-header-content-length": str(given_length)}
    holds(app, "/v2/models/zoo/infer", head + rest, headers)
    holds(app, "/v2/models/zoo/infer", head, {})


@EVERY
@given(path=st.text(max_size=30), query=st.binary(max_size=20))
def test_any_address(app: Any, path: str, query: bytes) -> None:
    answer = asked(app, "GET", f"/{path}", b"", {}, query=query)
    assert answer.status in (200, 404, 405)
