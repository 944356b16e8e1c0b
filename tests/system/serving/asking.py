"""Asks one model in every way that its users have, in the environment .venv-clients: without a line of Ratchet's code.

    .venv-clients/bin/python tests/system/serving/asking.py SERVED PORT NAME REGISTRY TARGET

SERVED is a folder that `ratchet export` has written, PORT that of the service that answers with it on this machine,
NAME the model's, REGISTRY where MLflow has it. The golden rows are asked; of each client the answers `[row, number]`
are written to TARGET/CLIENT.npy, or the reason why it cannot ask, in one line, to TARGET/CLIENT.txt.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Columns = dict[str, npt.NDArray[Any]]
Answers = npt.NDArray[np.float32]
SIGNATURE = "serving_default"
_ROWS_A_REQUEST = 64
_KINDS = {"UINT8": np.uint8, "FP64": np.float64, "BYTES": np.object_}


class NoAnswer(Exception):
    """A client that has nothing to ask: why, in one line."""


class Question(NamedTuple):
    """What is asked, and where."""

    served: Path
    port: int
    name: str
    registry: str
    columns: Columns

    @property
    def url(self) -> str:
        """The service's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def record(self) -> Any:
        """`model.json`."""
        return json.loads((self.served / "model.json").read_text())

    def form(self, name: str) -> Any:
        """Return a form of the model in the served folder; raise NoAnswer with the reason why it is not there."""
        record = self.record
        for form in record["formats"]:
            if form["name"] == name:
                return form
        raise NoAnswer(record["refused"].get(name, "it was not exported"))

    def in_parts(self, ask: Callable[[Columns], Any]) -> Answers:
        """Ask some rows at a time; return all answers."""
        rows = len(next(iter(self.columns.values())))
        parts = [
            ask({name: values[start : start + _ROWS_A_REQUEST] for name, values in self.columns.items()})
            for start in range(0, rows, _ROWS_A_REQUEST)
        ]
        return np.concatenate([np.asarray(part, np.float32) for part in parts])


def golden(served: Path) -> Columns:
    """Return the golden rows by feature, as anybody reads them."""
    columns: Columns = {}
    for file in (served / "golden").iterdir():
        if file.suffix == ".json":
            columns[file.stem] = np.asarray(json.loads(file.read_text()), np.object_)
        elif file.stem != "answers":
            columns[file.stem] = np.load(file)
    return columns


def tritonclient(question: Question) -> Answers:
    """By the Open Inference Protocol with binary tensors, each of the type that the service says."""
    import tritonclient.http as triton

    client = triton.InferenceServerClient(f"127.0.0.1:{question.port}")
    if not (client.is_server_live() and client.is_server_ready() and client.is_model_ready(question.name)):
        raise RuntimeError("the service is not ready")
    metadata = client.get_model_metadata(question.name)
    [output] = [each["name"] for each in metadata["outputs"]]

    def ask(columns: Columns) -> Any:
        inputs = []
        for each in metadata["inputs"]:
            values = columns[each["name"]].astype(_KINDS[each["datatype"]])
            inputs.append(triton.InferInput(each["name"], values.shape, each["datatype"]))
            inputs[-1].set_data_from_numpy(values, binary_data=True)
        wanted = [triton.InferRequestedOutput(output, binary_data=True)]
        return client.infer(question.name, inputs, outputs=wanted).as_numpy(output)

    try:
        return question.in_parts(ask)
    finally:
        client.close()


def kserve(question: Question) -> Answers:
    """By the Open Inference Protocol, as KServe's own client speaks it."""
    from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

    types = {each["name"]: each for each in question.record["inputs"]}
    datatypes = {"uint8": "UINT8", "float64": "FP64", "string": "BYTES"}

    async def ask_all() -> Answers:
        client = InferenceRESTClient(RESTConfig(protocol="v2"))
        try:
            if not (
                await client.is_server_ready(question.url) and await client.is_model_ready(question.url, question.name)
            ):
                raise RuntimeError("the service is not ready")
            found = []
            rows = len(next(iter(question.columns.values())))
            for start in range(0, rows, _ROWS_A_REQUEST):
                inputs = []
                for name, about in types.items():
                    values = question.columns[name][start : start + _ROWS_A_REQUEST]
                    tensor = InferInput(name, list(values.shape), datatypes[about["dtype"]])
                    tensor.set_data_from_numpy(values, binary_data=True)
                    inputs.append(tensor)
                request = InferRequest(question.name, inputs, request_id=f"rows-{start}")
                answered = await client.infer(question.url, request, model_name=question.name)
                if answered.id != f"rows-{start}" or answered.model_name != question.name:
                    raise RuntimeError("the answer is another request's, or another model's")
                found.append(answered.outputs[0].as_numpy())
            return np.concatenate(found)
        finally:
            await client.close()

    return asyncio.run(ask_all())


def tensorflow_serving(question: Question) -> Answers:
    """By TensorFlow Serving's REST interface; status and metadata are read as the messages of its own package."""
    import requests
    from google.protobuf import json_format
    from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap
    from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusResponse, ModelVersionStatus

    url = f"{question.url}/v1/models/{question.name}"
    status = json_format.ParseDict(requests.get(url, timeout=60).json(), GetModelStatusResponse())
    [version] = status.model_version_status
    if version.state != ModelVersionStatus.AVAILABLE:
        raise RuntimeError(f"the model's state is {version.state}")
    metadata = requests.get(f"{url}/metadata", timeout=60).json()["metadata"]["signature_def"]
    signature = json_format.ParseDict(metadata, SignatureDefMap()).signature_def[SIGNATURE]

    def ask(columns: Columns) -> Any:
        rows = len(next(iter(columns.values())))
        instances = [{name: plain(columns[name][row]) for name in signature.inputs} for row in range(rows)]
        body = {"signature_name": SIGNATURE, "instances": instances}
        answered = requests.post(f"{url}/versions/{version.version}:predict", json=body, timeout=60)
        answered.raise_for_status()
        return answered.json()["predictions"]

    return question.in_parts(ask)


def plain(value: Any) -> Any:
    """Return a value as JSON has it; a number that is missing is null."""
    if isinstance(value, str):
        return value
    return None if value.ndim == 0 and np.isnan(value) else value.tolist()


def tensorflow_session(question: Question) -> Answers:
    """From the SavedModel in the served folder, as TensorFlow Serving's loader: a graph that restores itself."""
    import tensorflow.compat.v1 as tf

    folder = str(question.served / question.form("saved_model")["path"])
    with tf.Session(graph=tf.Graph()) as session:
        signature = tf.saved_model.load(session, ["serve"], folder).signature_def[SIGNATURE]
        [given] = signature.outputs.values()

        def ask(columns: Columns) -> Any:
            return session.run(given.name, {taken.name: columns[name] for name, taken in signature.inputs.items()})

        return question.in_parts(ask)


def mlflow_pyfunc(question: Question) -> Answers:
    """By MLflow, which loads the champion from the registry by its alias."""
    import mlflow

    mlflow.set_tracking_uri(question.registry)
    mlflow.set_registry_uri(question.registry)
    model = mlflow.pyfunc.load_model(f"models:/{question.name}@champion")

    def ask(columns: Columns) -> Any:
        answered = model.predict(columns if len(columns) > 1 else next(iter(columns.values())))
        if isinstance(answered, dict):
            [answered] = answered.values()
        return np.asarray(answered).reshape(len(next(iter(columns.values()))), -1)

    return question.in_parts(ask)


def onnxruntime(question: Question) -> Answers:
    """By ONNX Runtime, from the file in the served folder."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        question.served / question.form("onnx")["path"], providers=["CPUExecutionProvider"]
    )
    return question.in_parts(lambda columns: session.run([question.record["output"]], columns)[0])


def litert(question: Question, form: str = "litert") -> Answers:
    """By LiteRT's interpreter, from the file in the served folder; numbers are float32 there."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(question.served / question.form(form)["path"]))
    ask = interpreter.get_signature_runner(SIGNATURE)
    types = {name: about["dtype"] for name, about in ask.get_input_details().items()}

    def answers(columns: Columns) -> Any:
        [answered] = ask(**{name: columns[name].astype(dtype) for name, dtype in types.items()}).values()
        return answered

    return question.in_parts(answers)


def litert_int8(question: Question) -> Answers:
    """By LiteRT's interpreter, from the file of whole numbers."""
    return litert(question, "litert_int8")


CLIENTS: tuple[Callable[[Question], Answers], ...] = (
    tritonclient, kserve, tensorflow_serving, tensorflow_session, mlflow_pyfunc, onnxruntime, litert, litert_int8,
)  # fmt: skip


def main(served: str, port: str, name: str, registry: str, target: str) -> None:
    """Ask by every client; a failure of one is an error of all."""
    question = Question(Path(served), int(port), name, registry, golden(Path(served)))
    for client in CLIENTS:
        to = Path(target) / client.__name__
        try:
            np.save(to.with_suffix(".npy"), client(question))
        except NoAnswer as why:
            to.with_suffix(".txt").write_text(str(why))


if __name__ == "__main__":
    main(*sys.argv[1:])
