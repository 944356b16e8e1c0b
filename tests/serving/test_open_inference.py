"""The Open Inference Protocol, version 2: JSON, and binary tensors."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pipeline.serving.limits import Limits
from tests.serving import made
from tests.serving.running import Answer, Running, running, serving
from tests.serving.test_predicting import PIXELS, png

INFER = "/v2/models/zoo/infer"


@pytest.fixture(scope="module")
def table() -> Iterator[Running]:
    with running(serving(made.model(made.TABLE), Limits(rows=8))) as service:
        yield service


@pytest.fixture(scope="module")
def mixed() -> Iterator[Running]:
    with running(serving(made.model(made.ALL), Limits(pixels=4096))) as service:
        yield service


@pytest.fixture(scope="module")
def pictures() -> Iterator[Running]:
    with running(serving(made.model(made.IMAGE), Limits(pixels=4096))) as service:
        yield service


def numbers(*values: Any, **changes: Any) -> dict[str, Any]:
    return {"name": "distance", "shape": [len(values)], "datatype": "FP64", "data": list(values), **changes}


def texts(*values: Any, **changes: Any) -> dict[str, Any]:
    return {"name": "carrier", "shape": [len(values)], "datatype": "BYTES", "data": list(values), **changes}


def of_bytes(*elements: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(each)) + each for each in elements)


def binary(service: Running, tensors: list[tuple[dict[str, Any], bytes]], **more: Any) -> Answer:
    inputs = [{**tensor, "parameters": {"binary_data_size": len(content)}} for tensor, content in tensors]
    head = json.dumps({"inputs": inputs, **more}).encode()
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    return service.ask("POST", INFER, head + b"".join(content for _, content in tensors), headers)


def expected(*rows: dict[str, Any], kinds: dict[str, str] = made.TABLE) -> list[list[float]]:
    return [made.foretold(made.record(kinds), row) for row in rows]


def answered(answer: Answer) -> list[list[float]]:
    assert answer.status == 200, answer.body
    [output] = answer.json["outputs"]
    assert output["name"] == "probabilities"
    assert output["datatype"] == "FP32"
    return np.asarray(output["data"], np.float32).reshape(output["shape"]).astype(float).tolist()


ROWS = [{"distance": 1.0, "carrier": "A"}, {"distance": 2.0, "carrier": "B"}]


def test_health_and_metadata(table: Running) -> None:
    assert table.ask("GET", "/v2/health/live").json == {"live": True}
    assert table.ask("GET", "/v2/health/ready").status == 200
    assert "binary_tensor_data" in table.ask("GET", "/v2").json["extensions"]
    for which in ("", "/versions/3"):
        assert table.ask("GET", f"/v2/models/zoo{which}/ready").json == {"name": "zoo", "ready": True}
        found = table.ask("GET", f"/v2/models/zoo{which}").json
        assert found["versions"] == ["3"]
        assert found["platform"] == "tensorflow_savedmodel"
        assert found["inputs"] == [
            {"name": "distance", "datatype": "FP64", "shape": [-1]},
            {"name": "carrier", "datatype": "BYTES", "shape": [-1]},
        ]
        assert found["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}]
    for path in ("/v2/models/other", "/v2/models/zoo/versions/9", "/v2/models/other/ready"):
        assert table.ask("GET", path).status == 404
        assert table.ask("GET", path).error


def test_tensors_in_json(table: Running) -> None:
    answer = table.post(INFER, {"id": "42", "inputs": [numbers(1.0, 2.0), texts("A", "B")]})
    assert answered(answer) == expected(*ROWS)
    assert answer.json["id"] == "42"
    assert answer.json["model_name"] == "zoo"
    assert answer.json["model_version"] == "3"
    for shape, data in (([2, 1], [1, 2]), ([2, 1], [[1], [2]]), ([2], [1, 2])):
        inputs = [texts("A", "B"), numbers(shape=shape, data=data)]
        assert answered(table.post("/v2/models/zoo/versions/3/infer", {"inputs": inputs})) == expected(*ROWS)


def test_a_number_may_come_in_any_type_that_fits(table: Running) -> None:
    for datatype, code in (("FP32", "<f4"), ("INT32", "<i4"), ("UINT8", "<u1"), ("FP16", "<f2"), ("FP64", "<f8")):
        tensor = {"name": "distance", "shape": [2], "datatype": datatype}
        content = np.asarray([1, 2], code).tobytes()
        both = [(tensor, content), ({"name": "carrier", "shape": [2], "datatype": "BYTES"}, of_bytes(b"A", b"B"))]
        assert answered(binary(table, both)) == expected(*ROWS)


def test_binary_tensors_in_and_out(mixed: Running) -> None:
    image = np.stack([PIXELS, PIXELS + 1])
    tensors = [
        ({"name": "image", "shape": [2, 4, 4, 1], "datatype": "UINT8"}, image.tobytes()),
        ({"name": "body", "shape": [2, 1], "datatype": "BYTES"}, of_bytes("é".encode(), b"")),
        ({"name": "distance", "shape": [2, 1], "datatype": "FP64"}, np.asarray([1.5, np.nan]).tobytes()),
        ({"name": "carrier", "shape": [2], "datatype": "BYTES"}, of_bytes(b"A", b"B")),
    ]
    rows = [
        {"image": image[0], "body": "é", "distance": 1.5, "carrier": "A"},
        {"image": image[1], "body": "", "distance": np.nan, "carrier": "B"},
    ]
    wanted = expected(*rows, kinds=made.ALL)
    assert answered(binary(mixed, tensors)) == wanted
    for asked in (
        {"parameters": {"binary_data_output": True}},
        {"outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}]},
    ):
        answer = binary(mixed, tensors, **asked)
        length = int(answer.headers["inference-header-content-length"])
        [output] = json.loads(answer.body[:length])["outputs"]
        assert output["parameters"] == {"binary_data_size": 24}
        assert "data" not in output
        found = np.frombuffer(answer.body[length:], "<f4").reshape(output["shape"])
        assert found.astype(float).tolist() == wanted
    not_binary = {"parameters": {"binary_data_output": True}, "outputs": [
        {"name": "probabilities", "parameters": {"binary_data": False}}]}  # fmt: skip
    assert answered(binary(mixed, tensors, **not_binary)) == wanted


def test_pictures_come_as_files_of_any_size(pictures: Running) -> None:
    sizes = [np.full((side, side, 1), side, np.uint8) for side in (3, 5, 3)]
    wanted = expected(*({"image": pixels} for pixels in sizes), kinds=made.IMAGE)
    tensor = {"name": "image", "shape": [3], "datatype": "BYTES"}
    assert answered(binary(pictures, [(tensor, of_bytes(*map(png, sizes)))])) == wanted
    data = [base64.b64encode(png(pixels)).decode() for pixels in sizes]
    assert answered(pictures.post(INFER, {"inputs": [{**tensor, "data": data}]})) == wanted


def deep(levels: int) -> Any:
    found: Any = 1
    for _ in range(levels):
        found = [found]
    return found


BIG = 2**31
FAULTS: list[tuple[str, Any, str]] = [
    ("list", [], "must be an object"),
    ("no inputs", {}, "feature 'distance' is not there"),
    ("inputs no list", {"inputs": 3}, "must be a list of objects"),
    ("input no object", {"inputs": [3]}, "must be a list of objects"),
    ("no name", {"inputs": [{}]}, "needs a name"),
    ("twice", {"inputs": [numbers(1), numbers(1)]}, "needs a name of its own"),
    ("unknown", {"inputs": [numbers(1, name="distances")]}, "did you mean 'distance'?"),
    ("lacking", {"inputs": [numbers(1)]}, "feature 'carrier' is not there"),
    ("id", {"id": 3, "inputs": [numbers(1), texts("A")]}, "id: must be a text"),
    ("no shape", {"inputs": [numbers(1, shape=None), texts("A")]}, "shape must be a list"),
    ("empty shape", {"inputs": [numbers(1, shape=[]), texts("A")]}, "shape must be a list"),
    ("bool in shape", {"inputs": [numbers(1, shape=[True]), texts("A")]}, "shape must be a list"),
    ("negative", {"inputs": [numbers(1, shape=[-1]), texts("A")]}, "from 0 to"),
    ("two negatives", {"inputs": [numbers(1, shape=[-1, -1]), texts("A")]}, "from 0 to"),
    ("huge", {"inputs": [numbers(1, shape=[BIG]), texts("A")]}, "from 0 to"),
    ("huge together", {"inputs": [numbers(1, shape=[BIG - 1] * 8), texts("A")]}, "data has 1 elements"),
    ("shape and data", {"inputs": [numbers(1, shape=[2]), texts("A")]}, "data has 1 elements, its shape 2"),
    ("other shape", {"inputs": [numbers(1, 2, shape=[1, 2]), texts("A")]}, "has shape [2], expected []"),
    ("other rows", {"inputs": [numbers(1, 2), texts("A")]}, "1, 2 rows"),
    ("no rows", {"inputs": [numbers(shape=[0]), texts(shape=[0])]}, "there are no rows"),
    ("no datatype", {"inputs": [numbers(1, datatype=None), texts("A")]}, "datatype must be FP64"),
    ("odd datatype", {"inputs": [numbers(1, datatype=["FP64"]), texts("A")]}, "datatype must be FP64"),
    ("bool", {"inputs": [numbers(1, datatype="BOOL"), texts("A")]}, "datatype must be FP64"),
    ("bytes for number", {"inputs": [numbers(1, datatype="BYTES"), texts("A")]}, "datatype must be FP64"),
    ("number for text", {"inputs": [numbers(1), texts("A", datatype="FP64")]}, "datatype must be BYTES"),
    ("text in numbers", {"inputs": [numbers("1"), texts("A")]}, "data must be numbers"),
    ("null in numbers", {"inputs": [numbers(None), texts("A")]}, "data must be numbers"),
    ("true in numbers", {"inputs": [numbers(True), texts("A")]}, "data must be numbers"),
    ("fraction", {"inputs": [numbers(1.5, datatype="INT32"), texts("A")]}, "whole numbers"),
    ("out of range", {"inputs": [numbers(300, datatype="UINT8"), texts("A")]}, "its datatype cannot"),
    ("overflow", {"inputs": [numbers(1e300, datatype="FP32"), texts("A")]}, "not finite"),
    ("number in texts", {"inputs": [numbers(1), texts(3)]}, "must be a text, not a number"),
    ("nested", {"inputs": [numbers(data=[[1], 2], shape=[2]), texts("A", "B")]}, "different depths"),
    ("deep", {"inputs": [numbers(data=deep(900)), texts("A")]}, "data"),
    ("deep shape", {"inputs": [numbers(1, shape=deep(900)), texts("A")]}, "shape must be a list"),
    ("no data", {"inputs": [numbers(1, data=3), texts("A")]}, "data must be a list"),
    ("parameters", {"inputs": [numbers(1, parameters=3), texts("A")]}, "parameters must be an object"),
    ("both", {"inputs": [numbers(1, parameters={"binary_data_size": 8}), texts("A")]}, "and not both"),
    ("output", {"inputs": [numbers(1), texts("A")], "outputs": [{"name": "x"}]}, "is the only one"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "line"), [each[1:] for each in FAULTS], ids=[each[0] for each in FAULTS])
def test_a_faulty_question_is_refused_in_one_line(table: Running, content: Any, line: str) -> None:
    answer = table.post(INFER, content)
    assert answer.status == 400
    assert line in answer.error


def test_broken_binary_tensors_are_refused(table: Running) -> None:
    carrier = ({"name": "carrier", "shape": [1], "datatype": "BYTES"}, of_bytes(b"A"))
    distance = {"name": "distance", "shape": [1], "datatype": "FP64"}
    number = np.asarray([1.0]).tobytes()
    for content in (number[:-1], number * 2, b""):
        assert "bytes" in binary(table, [(distance, content), carrier]).error
    for broken in (b"", b"\1", b"\5\0\0\0A", b"\xff\xff\xff\xff", of_bytes(b"A", b"B"), of_bytes(b"A") + b"\0"):
        answer = binary(table, [(distance, number), (carrier[0], broken)])
        assert answer.status == 400, broken
        assert "elements" in answer.error
    assert "not UTF-8" in binary(table, [(distance, number), (carrier[0], of_bytes(b"\xff"))]).error
    for shape in ([BIG], [BIG - 1] * 3, [2**62, 2**62], [2**32 + 1], [1, BIG], [-BIG, -1]):  # of any product
        answer = binary(table, [({**distance, "shape": shape}, number), carrier])
        assert answer.status == 400, shape
        assert "from 0 to" in answer.error or "bytes" in answer.error
    for odd in ("x", "-1", "1.0", "", "9" * 50, "99999"):
        answer = table.ask("POST", INFER, b"{}", {"inference-header-content-length": odd})
        assert answer.status == 400, odd
    for size in (-1, True, "8", 1.0, 2**70, 9):
        tensor = {**distance, "parameters": {"binary_data_size": size}}
        head = json.dumps({"inputs": [tensor, texts("A")]}).encode()
        headers = {"inference-header-content-length": str(len(head))}
        answer = table.ask("POST", INFER, head + number, headers)
        assert answer.status == 400, size
    head = json.dumps({"inputs": [{**distance, "parameters": {"binary_data_size": 8}}, texts("A")]}).encode()
    assert table.ask("POST", INFER, head + number).status == 400  # without the header
    headers = {"inference-header-content-length": str(len(head))}
    assert "after the last" in table.ask("POST", INFER, head + number + b"x", headers).error


def test_pictures_beyond_the_limits_are_refused(pictures: Running) -> None:
    for shape, status in (([1, 65, 64, 1], 413), ([1, 4, 4, 3], 400), ([1, 16], 400), ([1, 0, 4, 1], 400)):
        tensor = {"name": "image", "shape": shape, "datatype": "UINT8"}
        answer = binary(pictures, [(tensor, bytes(int(np.prod(shape))))])
        assert answer.status == status, shape
        assert answer.error
    flat = {"name": "image", "shape": [1, 20_000, 0, 1], "datatype": "UINT8"}
    assert binary(pictures, [(flat, b"")]).status == 400
