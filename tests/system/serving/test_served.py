"""The real service: a model of four kinds of features, exported, served by the command, and asked in every protocol."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from pipeline.data.resizing import resize
from pipeline.export.served import golden_rows, read_served
from pipeline.records.served_model import ServedModel
from pipeline.storage.artifacts import write_json
from tests.system.serving.zoo import ROWS
from tests.waiting import HANG_S, wait_for

ROOT = Path(__file__).parents[3]
TOLERANCE = 1e-6
LOADED = """
import sys
from pipeline.cli.command_line import main
code = main(sys.argv[1:])
names = ("pyspark", "keras", "mlflow", "pipeline.training", "pipeline.stages", "pipeline.contracts")
print([name for name in names if sys.modules.get(name)])
sys.exit(code)
"""


class Serving(NamedTuple):
    """A service that runs, and what it serves."""

    port: int
    process: subprocess.Popen[str]
    record: ServedModel
    columns: dict[str, Any]
    answers: Any

    def ask(self, path: str, body: bytes, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG_S)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, body, named)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        assert response.status == 200, content
        return response, content

    def row(self, place: int) -> dict[str, Any]:
        """A golden row as a client would write it."""
        stream = io.BytesIO()
        Image.fromarray(self.columns["image"][place][..., 0]).save(stream, "PNG")
        number = float(self.columns["distance"][place])
        return {
            "image": base64.b64encode(stream.getvalue()).decode(),
            "distance": None if np.isnan(number) else number,
            "carrier": self.columns["carrier"][place],
            "body": self.columns["body"][place],
        }


@pytest.fixture(scope="module")
def served(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """The service of one exported model, started once for all tests."""
    root = tmp_path_factory.mktemp("served")
    columns, answers = golden_rows(exported)
    beside = shutil.copytree(exported, root / "beside")  # the same model under another number: it must agree
    write_json(beside / "model.json", read_served(exported).changed(version=4, digest="sha256:" + "4" * 64).to_json())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", LOADED, "serve", str(exported), "--port", "0"]
    command += ["--challenger", str(beside), "--shadow-share", "1"]
    with (root / "log").open("w+") as log:
        process = subprocess.Popen(command, stderr=log, stdout=subprocess.PIPE, text=True, env=environment)
        try:
            yield Serving(port_of(root / "log", process), process, read_served(exported), columns, answers)
        finally:
            process.kill()
            process.communicate()


def port_of(log: Path, process: subprocess.Popen[str]) -> int:
    """Wait until the service says on which port it serves."""
    until_s = time.monotonic() + HANG_S
    while time.monotonic() < until_s and process.poll() is None:
        for line in log.read_text().splitlines():
            if '"event":"serving"' in line:
                return int(json.loads(line)["port"])
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def test_every_protocol_answers_what_was_judged(served: Serving) -> None:
    rows = [served.row(place) for place in range(ROWS)]
    _, content = served.ask("/predict", json.dumps(rows).encode(), content_type="application/json")
    found = json.loads(content)
    assert found["model"] == {"name": "zoo", "version": 1, "digest": served.record.digest}
    predicted = [list(each["probabilities"].values()) for each in found["predictions"]]
    np.testing.assert_allclose(predicted, served.answers, rtol=0, atol=TOLERANCE)
    assert [each["label"] for each in found["predictions"]] == [
        served.record.classes[place] for place in served.answers.argmax(axis=1)
    ]

    instances = [{**row, "image": served.columns["image"][place].tolist()} for place, row in enumerate(rows)]
    _, content = served.ask("/v1/models/zoo/labels/champion:predict", json.dumps({"instances": instances}).encode())
    np.testing.assert_allclose(json.loads(content)["predictions"], served.answers, rtol=0, atol=TOLERANCE)

    def texts(name: str) -> bytes:
        encoded = [value.encode() for value in served.columns[name]]
        return b"".join(len(each).to_bytes(4, "little") + each for each in encoded)

    binary = {
        "image": ("UINT8", [ROWS, 8, 8, 1], served.columns["image"].tobytes()),
        "distance": ("FP64", [ROWS], served.columns["distance"].tobytes()),
        "carrier": ("BYTES", [ROWS], texts("carrier")),
        "body": ("BYTES", [ROWS], texts("body")),
    }
    inputs = [
        {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(content)}}
        for name, (datatype, shape, content) in binary.items()
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    body = head + b"".join(content for _, _, content in binary.values())
    response, content = served.ask("/v2/models/zoo/infer", body, inference_header_content_length=str(len(head)))
    length = int(response.headers["inference-header-content-length"])
    tensor = np.frombuffer(content[length:], "<f4").reshape(json.loads(content[:length])["outputs"][0]["shape"])
    np.testing.assert_allclose(tensor, served.answers, rtol=0, atol=TOLERANCE)


def test_a_picture_of_another_size_is_resized_inside_the_model(served: Serving) -> None:
    large = np.random.default_rng(2).integers(0, 256, (13, 17, 1)).astype(np.uint8)
    small = resize(large[None], 8, 8)[0]
    rows = [{**served.row(0), "image": pixels.tolist()} for pixels in (large, small)]
    _, content = served.ask("/predict", json.dumps(rows).encode(), content_type="application/json")
    one, other = (list(each["probabilities"].values()) for each in json.loads(content)["predictions"])
    np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE)


def test_five_thousand_idle_connections_keep_nobody_out(served: Serving) -> None:
    count, (soft, hard) = 5_000, resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * count:
        pytest.skip(f"a process may have {hard} files open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with ExitStack() as stack:
            for _ in range(count):
                stack.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=HANG_S))
            _, content = served.ask("/predict", json.dumps(served.row(0)).encode(), content_type="application/json")
        assert len(json.loads(content)["predictions"]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_challenger_is_asked_beside_the_champion_and_compared_with_it(served: Serving) -> None:
    found = readings(served, lambda text: "ratchet_challenger{" in text)
    before = rows_compared(found)
    rows = json.dumps({"instances": [served.row(place) for place in range(ROWS)]}).encode()
    for label, version in (("champion", "1"), ("challenger", "4")):
        response, content = served.ask(f"/v1/models/zoo/labels/{label}:predict", rows)
        assert response.headers["x-model-version"] == version
        np.testing.assert_allclose(json.loads(content)["predictions"], served.answers, rtol=0, atol=TOLERANCE)
    found = readings(served, lambda text: rows_compared(text) >= before + ROWS)
    assert 'ratchet_shadow_disagreements_total{version="4"} 0.0' in found
    assert f'ratchet_shadow_difference_bucket{{le="1e-06",version="4"}} {rows_compared(found)}' in found


def readings(served: Serving, condition: Callable[[str], bool]) -> str:
    """Return the readings once they are such."""

    def asked() -> str | None:
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=HANG_S)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return text if condition(text) else None

    return wait_for(asked, "such readings")


def rows_compared(text: str) -> float:
    lines = [line for line in text.splitlines() if line.startswith('ratchet_shadow_rows_total{version="4"}')]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


def test_it_ends_gracefully_having_loaded_no_more_than_it_needs(served: Serving) -> None:
    """The last test: it ends the service."""
    served.process.send_signal(signal.SIGTERM)
    output, _ = served.process.communicate(timeout=HANG_S)
    assert served.process.returncode == 0
    assert output.splitlines()[-1] == "[]"
