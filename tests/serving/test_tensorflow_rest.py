"""TensorFlow Serving's REST interface, as its documentation has it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pipeline.serving.limits import Limits
from tests.serving import made
from tests.serving.running import Running, running, serving
from tests.serving.test_predicting import PIXELS, png

PREDICT = "/v1/models/zoo:predict"


@pytest.fixture(scope="module")
def table() -> Iterator[Running]:
    with running(serving(made.model(made.TABLE), Limits(rows=8))) as service:
        yield service


@pytest.fixture(scope="module")
def pictures() -> Iterator[Running]:
    with running(serving(made.model(made.IMAGE))) as service:
        yield service


def expected(*rows: dict[str, Any], kinds: dict[str, str] = made.TABLE) -> list[list[float]]:
    return [made.foretold(made.record(kinds), row) for row in rows]


def answered(values: Any) -> list[list[float]]:
    return np.asarray(values, np.float32).astype(float).tolist()


def test_rows_are_instances_and_columns_inputs(table: Running) -> None:
    rows = [{"distance": 1, "carrier": "A"}, {"distance": 2.5, "carrier": "B"}]
    by_rows = table.post(PREDICT, {"instances": rows, "signature_name": "serving_default"})
    assert set(by_rows.json) == {"predictions"}
    assert answered(by_rows.json["predictions"]) == expected(*rows)
    by_columns = table.post(PREDICT, {"inputs": {"distance": [1, 2.5], "carrier": ["A", "B"]}})
    assert set(by_columns.json) == {"outputs"}
    assert answered(by_columns.json["outputs"]) == expected(*rows)
    assert by_rows.headers["x-model-version"] == "3"


def test_of_one_input_bare_values_are_enough(pictures: Running) -> None:
    wanted = expected({"image": PIXELS}, kinds=made.IMAGE)
    for content in (
        {"instances": [PIXELS.tolist()]},
        {"instances": [{"image": PIXELS.tolist()}]},
        {"instances": [{"b64": base64.b64encode(png()).decode()}]},
        {"instances": [{"image": {"b64": base64.b64encode(png()).decode()}}]},
    ):
        assert answered(pictures.post(PREDICT, content).json["predictions"]) == wanted
    for columns in ([PIXELS.tolist()], {"image": [PIXELS.tolist()]}):
        assert answered(pictures.post(PREDICT, {"inputs": columns}).json["outputs"]) == wanted


def test_the_content_type_does_not_matter(table: Running) -> None:
    body = json.dumps({"instances": [{"distance": 1, "carrier": "A"}]})
    headers = {"content-type": "application/x-www-form-urlencoded"}  # what `curl -d` sends
    assert table.ask("POST", PREDICT, body, headers).status == 200


def test_version_and_label_choose_what_is_served(table: Running) -> None:
    content = {"instances": [{"distance": 1, "carrier": "A"}]}
    for which in ("", "/versions/3", "/labels/champion"):
        assert table.post(f"/v1/models/zoo{which}:predict", content).status == 200
    for which in ("/versions/4", "/versions/03", "/versions/x", "/labels/stable", "/versions/" + "9" * 400):
        answer = table.post(f"/v1/models/zoo{which}:predict", content)
        assert answer.status == 404
        assert answer.error
    for name in ("zoos", "..", "zoo%00", "zoo%0d%0aa:b", "%F0%9F%90%88", "a" * 3000):
        answer = table.post(f"/v1/models/{name}:predict", content)
        assert answer.status == 404
        assert answer.error


def test_status_and_metadata(table: Running) -> None:
    for which in ("", "/versions/3", "/labels/champion"):
        status = table.ask("GET", f"/v1/models/zoo{which}").json
        assert status == {
            "model_version_status": [
                {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
            ]
        }
    assert table.ask("GET", "/v1/models/other").status == 404
    found = table.ask("GET", "/v1/models/zoo/metadata").json
    assert found["model_spec"] == {"name": "zoo", "signature_name": "", "version": "3"}
    signature = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["distance"] == {
        "dtype": "DT_DOUBLE",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
        "name": "distance",
    }
    dims = signature["outputs"]["probabilities"]["tensor_shape"]["dim"]
    assert [dim["size"] for dim in dims] == ["-1", "3"]
    assert signature["method_name"] == "tensorflow/serving/predict"


FAULTS: list[tuple[str, bytes, int, str]] = [
    ("not JSON", b"{", 400, "not JSON"),
    ("list", b"[]", 400, "must be an object"),
    ("nothing", b"{}", 400, "either instances or inputs"),
    ("both", b'{"instances": [], "inputs": []}', 400, "either instances or inputs"),
    ("another key", b'{"examples": []}', 400, "no key 'examples'"),
    ("another signature", b'{"signature_name": "x", "instances": []}', 400, "the only signature"),
    ("no rows", b'{"instances": []}', 400, "there are no rows"),
    ("too many rows", b'{"instances": [0,0,0,0,0,0,0,0,0]}', 413, "at most 8"),
    ("bare", b'{"instances": [1]}', 400, "row 0"),
    ("NaN", b'{"instances": [{"distance": NaN, "carrier": "A"}]}', 400, "not JSON"),
    ("columns a list", b'{"inputs": [1]}', 400, "must be an object"),
    ("column a value", b'{"inputs": {"distance": 1, "carrier": ["A"]}}', 400, "must be a list"),
    ("columns of two lengths", b'{"inputs": {"distance": [1, 2], "carrier": ["A"]}}', 400, "1, 2 rows"),
    ("columns empty", b'{"inputs": {"distance": [], "carrier": []}}', 400, "there are no rows"),
    ("deep", b'{"instances": ' + b"[" * 900 + b"]" * 900 + b"}", 400, "row 0"),
    ("too deep", b'{"instances": ' + b"[" * 60_000, 400, "not JSON"),
    ("nested", b'{"inputs": {"distance": [[1]], "carrier": ["A"]}}', 400, "not a list"),
]


@pytest.mark.parametrize(("body", "status", "line"), [each[1:] for each in FAULTS], ids=[each[0] for each in FAULTS])
def test_a_faulty_question_is_refused_in_one_line(table: Running, body: bytes, status: int, line: str) -> None:
    answer = table.ask("POST", PREDICT, body)
    assert answer.status == status
    assert line in answer.error
