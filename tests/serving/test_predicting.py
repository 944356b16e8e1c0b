"""`/predict`, asked over a real connection: rows, pictures, texts and forms, and every way to ask wrongly."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.serving.limits import Limits
from tests.serving import made
from tests.serving.running import Answer, Running, running, serving

LIMITS = Limits(body_bytes=2**16, pixels=4096, rows=8, batch_rows=4)
PIXELS = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)


def png(pixels: np.ndarray = PIXELS) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0]).save(stream, "PNG")
    return stream.getvalue()


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def form(*fields: tuple[str, str | bytes], boundary: str = "edge") -> tuple[bytes, dict[str, str]]:
    body = b""
    for name, value in fields:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        body += b"\r\n\r\n" + value.encode() if isinstance(value, str) else b'; filename="x"\r\n\r\n' + value
        body += b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), {"content-type": f"multipart/form-data; boundary={boundary}"}


@pytest.fixture(scope="module")
def pictures() -> Iterator[Running]:
    with running(serving(made.model(made.IMAGE), LIMITS)) as service:
        yield service


@pytest.fixture(scope="module")
def table() -> Iterator[Running]:
    with running(serving(made.model(made.TABLE), LIMITS)) as service:
        yield service


@pytest.fixture(scope="module")
def texts() -> Iterator[Running]:
    with running(serving(made.model(made.TEXT), LIMITS)) as service:
        yield service


@pytest.fixture(scope="module")
def mixed() -> Iterator[Running]:
    with running(serving(made.model(made.ALL, classes=()), LIMITS)) as service:
        yield service


def probabilities(answer: Answer, place: int = 0) -> list[float]:
    assert answer.status == 200, answer.body
    return list(answer.json["predictions"][place]["probabilities"].values())


def expected(kinds: dict[str, str], **row: Any) -> list[float]:
    return made.foretold(made.record(kinds), row)


def test_an_answer_has_label_confidence_probabilities_and_which_model_gave_it(table: Running) -> None:
    answer = table.post("/predict", {"distance": 1.5, "carrier": "AA"})
    served = made.record(made.TABLE)
    likely = expected(made.TABLE, distance=1.5, carrier="AA")
    best = max(range(3), key=likely.__getitem__)
    assert answer.json["model"] == {"name": "zoo", "version": 3, "digest": served.digest}
    [prediction] = answer.json["predictions"]
    assert prediction["label"] == made.CLASSES[best]
    assert prediction["confidence"] == likely[best]
    assert prediction["probabilities"] == dict(zip(made.CLASSES, likely, strict=True))
    assert answer.headers["x-model-version"] == "3"
    assert answer.headers["x-model-digest"] == served.digest


def test_of_a_number_an_answer_has_value_and_unit(mixed: Running) -> None:
    row = {"image": b64(png()), "distance": 2, "carrier": "A", "body": "b"}
    [prediction] = mixed.post("/predict", row).json["predictions"]
    found = made.foretold(made.record(made.ALL, classes=()), {**row, "image": PIXELS})
    assert prediction == {"value": found[0], "unit": "min"}


def test_rows_are_answered_in_their_order_however_they_are_given(table: Running) -> None:
    rows = [{"distance": number, "carrier": "A"} for number in range(7)]  # more than share a call
    for given in (rows, {"rows": rows}):
        answer = table.post("/predict", given)
        found = [probabilities(answer, place) for place in range(7)]
        assert found == [expected(made.TABLE, **row) for row in rows]


def test_a_picture_comes_as_body_form_base64_data_address_or_grey_levels(pictures: Running) -> None:
    wanted = expected(made.IMAGE, image=PIXELS)
    body, headers = form(("image", png()))
    for answer in (
        pictures.ask("POST", "/predict", png(), {"content-type": "image/png"}),
        pictures.ask("POST", "/predict", png(), {"content-type": "application/octet-stream"}),
        pictures.ask("POST", "/predict", body, headers),
        pictures.post("/predict", {"image": b64(png())}),
        pictures.post("/predict", {"image": f"data:image/png;base64,{b64(png())}"}),
        pictures.post("/predict", {"image": {"b64": b64(png())}}),
        pictures.post("/predict", [{"b64": b64(png())}]),
        pictures.post("/predict", {"image": PIXELS.tolist()}),
        pictures.post("/predict", {"image": PIXELS[..., 0].tolist()}),
    ):
        assert probabilities(answer) == wanted


def test_pictures_of_different_sizes_are_answered_together_in_their_order(pictures: Running) -> None:
    sizes = [np.full((side, side + 1, 1), side, np.uint8) for side in (3, 5, 3, 4, 5)]
    wanted = [expected(made.IMAGE, image=pixels) for pixels in sizes]
    answer = pictures.post("/predict", [{"image": b64(png(pixels))} for pixels in sizes])
    assert [probabilities(answer, place) for place in range(5)] == wanted
    body, headers = form(*(("file", png(pixels)) for pixels in sizes))
    answer = pictures.ask("POST", "/predict", body, headers)
    assert [probabilities(answer, place) for place in range(5)] == wanted


@pytest.mark.long
def test_a_text_comes_as_body_or_row_and_is_put_into_form_nfc(texts: Running) -> None:
    wanted = expected(made.TEXT, body="caf\u00e9")
    for text in ("caf\u00e9", "cafe\u0301"):
        headers = {"content-type": "text/plain; charset=utf-8"}
        assert probabilities(texts.ask("POST", "/predict", text, headers)) == wanted
        assert probabilities(texts.post("/predict", {"body": text})) == wanted
        assert probabilities(texts.post("/predict", [text])) == wanted


def test_a_form_gives_each_feature_a_field(mixed: Running) -> None:
    body, headers = form(("image", png()), ("distance", "2.5"), ("carrier", "A"), ("body", "b"))
    answer = mixed.ask("POST", "/predict", body, headers)
    row = {"image": PIXELS, "distance": 2.5, "carrier": "A", "body": "b"}
    assert answer.json["predictions"][0]["value"] == made.foretold(made.record(made.ALL, classes=()), row)[0]


def test_what_is_missing_is_null_or_an_empty_field(table: Running) -> None:
    wanted = expected(made.TABLE, distance=np.nan, carrier="")
    assert probabilities(table.post("/predict", {"distance": None, "carrier": None})) == wanted
    body, headers = form(("distance", ""), ("carrier", ""))
    assert probabilities(table.ask("POST", "/predict", body, headers)) == wanted


def test_a_compressed_body_is_inflated(table: Running) -> None:
    body = gzip.compress(json.dumps({"distance": 1, "carrier": "A"}).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert probabilities(table.ask("POST", "/predict", body, headers)) == expected(made.TABLE, distance=1, carrier="A")


JSON_FAULTS: list[tuple[str, bytes, int, str]] = [
    ("not JSON", b"{", 400, "not JSON"),
    ("empty", b"", 400, "not JSON"),
    ("NaN", b'{"distance": NaN, "carrier": "A"}', 400, "not JSON"),
    ("not finite", b'{"distance": 1e999, "carrier": "A"}', 400, "infinity"),
    ("not UTF-8", b'{"distance": 1, "carrier": "\xff"}', 400, "not JSON"),
    ("half a pair", b'{"distance": 1, "carrier": "\\ud800"}', 400, "not JSON"),
    ("deep", b"[" * 60_000, 400, "not JSON"),
    ("deep and whole", b"[" * 1000 + b"]" * 1000, 400, "row 0"),
    ("a number", b"3", 400, "the body must be"),
    ("null", b"null", 400, "not null"),
    ("no rows", b"[]", 400, "there are no rows"),
    ("rows no list", b'{"rows": 3}', 400, "must be a list, not a number"),
    ("too many rows", b"[" + b",".join([b"{}"] * 9) + b"]", 413, "at most 8"),
    ("row no object", b"[3]", 400, "row 0"),
    ("missing", b'{"distance": 1}', 400, "feature 'carrier' is not there"),
    ("unknown", b'{"distance": 1, "carriers": "A"}', 400, "did you mean 'carrier'?"),
    ("text for number", b'{"distance": "1", "carrier": "A"}', 400, "must be a number, not a text"),
    ("bool for number", b'{"distance": true, "carrier": "A"}', 400, "must be a number, not true or false"),
    ("list for number", b'{"distance": [1], "carrier": "A"}', 400, "must be a number, not a list"),
    ("number for text", b'{"distance": 1, "carrier": 1}', 400, "must be a text, not a number"),
    ("huge name", b'{"' + b"x" * 5000 + b'": 1}', 400, "no feature"),
    ("strange name", b'{"\\u001b[31m\\n": 1}', 400, "no feature"),
]


@pytest.mark.parametrize(
    ("body", "status", "line"), [each[1:] for each in JSON_FAULTS], ids=[f[0] for f in JSON_FAULTS]
)
def test_a_faulty_row_is_refused_in_one_line(table: Running, body: bytes, status: int, line: str) -> None:
    answer = table.ask("POST", "/predict", body, {"content-type": "application/json"})
    assert answer.status == status
    assert line in answer.error
    assert "\x1b" not in answer.error


def bomb() -> bytes:
    stream = io.BytesIO()
    Image.new("L", (2000, 2000)).save(stream, "PNG")
    return stream.getvalue()


PICTURE_FAULTS: list[tuple[str, Any, int, str]] = [
    ("no base64", "%%%", 400, "no base64"),
    ("base64 of nothing", "", 400, "empty"),
    ("no picture", b64(b"hello"), 415, "not a picture"),
    ("cut", b64(png()[:-20]), 400, "truncated"),
    ("damaged", b64(png()[:40] + b"XXXX" + png()[44:]), 400, "damaged"),
    ("bomb", b64(bomb()), 413, "too large"),
    ("null", None, 400, "must be a picture"),
    ("number", 3, 400, "must be a picture"),
    ("ragged", [[1, 2], [3]], 400, "all equally long"),
    ("texts", [["1"]], 400, "grey levels"),
    ("negative", [[-1]], 400, "from 0 to 255"),
    ("above 255", [[256]], 400, "from 0 to 255"),
    ("fraction", [[0.5]], 400, "from 0 to 255"),
    ("huge", [[2**70]], 400, "grey levels"),
    ("empty", [[]], 400, "grey levels"),
    ("channels", [[[1, 2, 3]]], 400, "expected [height, width, 1]"),
    ("flat", [1, 2], 400, "expected [height, width, 1]"),
    ("too many pixels", [[0] * 5000], 413, "more than 4096 pixels"),
]


@pytest.mark.parametrize(
    ("value", "status", "line"), [each[1:] for each in PICTURE_FAULTS], ids=[f[0] for f in PICTURE_FAULTS]
)
def test_a_faulty_picture_is_refused_in_one_line(pictures: Running, value: Any, status: int, line: str) -> None:
    answer = pictures.post("/predict", {"image": value})
    assert answer.status == status
    assert line in answer.error


def test_other_content_types_are_refused(table: Running, texts: Running) -> None:
    for kind in ("application/x-www-form-urlencoded", "application/xml", "", "\\", "multipart/form-data"):
        answer = table.ask("POST", "/predict", b"{}", {"content-type": kind})
        assert answer.status in (400, 415), kind
        assert answer.error
    assert table.ask("POST", "/predict", png(), {"content-type": "image/png"}).status == 415
    assert table.ask("POST", "/predict", "text", {"content-type": "text/plain"}).status == 415
    assert texts.ask("POST", "/predict", b"\xff\xfe", {"content-type": "text/plain"}).status == 400
    assert table.ask("POST", "/predict", b"{}", {"content-encoding": "br"}).status == 415


def test_a_broken_form_is_refused(mixed: Running) -> None:
    whole, headers = form(("image", png()), ("distance", "2.5"), ("carrier", "A"), ("body", "b"))
    twice, _ = form(("distance", "1"), ("distance", "2"))
    lacking, _ = form(("distance", "1"))
    for body in (whole[:-30].replace(b"--edge", b"--other"), b"", b"--edge", twice, lacking):
        answer = mixed.ask("POST", "/predict", body, headers)
        assert answer.status == 400, body
        assert answer.error
    no_number, _ = form(("image", png()), ("distance", "NaN"), ("carrier", "A"), ("body", "b"))
    assert "must be a number" in mixed.ask("POST", "/predict", no_number, headers).error
    no_file, _ = form(("image", "text"), ("distance", "1"), ("carrier", "A"), ("body", "b"))
    assert mixed.ask("POST", "/predict", no_file, headers).status == 415
    cut = mixed.ask("POST", "/predict", whole[: whole.rindex(b"--edge--")], headers)
    assert "cut short" in cut.error
    many, _ = form(*[("image", "x")] * 9)
    assert mixed.ask("POST", "/predict", many, headers).status == 413


def test_a_body_that_is_too_large_is_refused_before_it_is_read_or_inflated(table: Running) -> None:
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    declared = table.raw(head + b"content-length: 1073741824\r\n\r\n{")
    assert declared.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in declared
    chunk = b"2000\r\n" + b" " * 0x2000 + b"\r\n"
    assert table.raw(head + b"transfer-encoding: chunked\r\n\r\n" + chunk * 10).startswith(b"HTTP/1.1 413")
    inflating = gzip.compress(b" " * 10_000_000)
    assert len(inflating) < LIMITS.body_bytes
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = table.ask("POST", "/predict", inflating, headers)
    assert answer.status == 413
    assert "inflates" in answer.error
    assert table.ask("POST", "/predict", b"no gzip", headers).status == 400
    assert table.ask("POST", "/predict", gzip.compress(b"{}")[:-4], headers).status == 400
    assert table.service.held.size_bytes == 0


def test_a_model_that_has_no_answer_gives_null_and_says_why(table: Running) -> None:
    model = made.model(made.TABLE, classes=())
    model.engine.answer = lambda columns: np.full((1, 1), np.nan, np.float32)  # type: ignore[method-assign]
    with running(serving(model)) as service:
        [prediction] = service.post("/predict", {"distance": 1, "carrier": "A"}).json["predictions"]
    assert prediction["value"] is None
    assert "no answer" in prediction["why"]
