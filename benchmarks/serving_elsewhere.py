"""A SavedModel served by BentoML or LitServe, for `serving.py`: in an environment of its own, which has no Ratchet.

    PYTHON benchmarks/serving_elsewhere.py bentoml|litserve SAVED_MODEL SIGNATURE PORT

A form with a picture as PNG is answered by its probabilities as JSON, over loopback. Each is set up as its
documentation recommends for many small requests: BentoML with adaptive batching in one worker; LitServe with batches in
one worker, and its faster queue. LitServe takes what has come meanwhile and waits for nobody: its default, and better
for it than 1 or 5 ms. Neither writes a line a request. The model is called as Ratchet calls it: by its signature, with
raw pixels, on one thread.
"""

# No annotations as texts: LitServe makes its address of the types themselves.
import importlib.util
import io
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

ROWS = 64  # of a call, at most
BENTOML_LATENCY_MS = 1_000  # beyond which it refuses; how long to wait for others it learns by itself
SAVED_MODEL, SIGNATURE = "SERVING_SAVED_MODEL", "SERVING_SIGNATURE"  # variables that the workers read
Pixels = npt.NDArray[np.uint8]


class Model:
    """The SavedModel that the environment names."""

    def __init__(self) -> None:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        self._constant = tf.constant
        self._module = tf.saved_model.load(os.environ[SAVED_MODEL])
        self._serve = self._module.signatures[os.environ[SIGNATURE]]
        [self._name] = self._serve.structured_input_signature[1]

    def answer(self, pixels: Pixels) -> list[list[float]]:
        """Return probabilities `[row, class]` of pictures `[row, height, width, 1] uint8`."""
        [answers] = self._serve(**{self._name: self._constant(pixels)}).values()
        found: list[list[float]] = answers.numpy().tolist()
        return found


def in_grey(picture: Any) -> Pixels:
    """Return the pixels `[height, width, 1]` of a picture."""
    return np.asarray(picture.convert("L"), np.uint8)[..., np.newaxis]


if importlib.util.find_spec("bentoml"):
    import bentoml
    from PIL.Image import Image as Picture

    @bentoml.service(workers=1, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
    class OfBentoML:
        """The model as a service of BentoML."""

        def __init__(self) -> None:
            self._model = Model()

        @bentoml.api(batchable=True, max_batch_size=ROWS, max_latency_ms=BENTOML_LATENCY_MS)  # type: ignore[untyped-decorator]
        def predict(self, images: list[Picture]) -> list[list[float]]:
            """Answer pictures, of one request or of several."""
            return self._model.answer(np.stack([in_grey(each) for each in images]))


if importlib.util.find_spec("litserve"):
    import litserve
    from fastapi import Request

    class OfLitServe(litserve.LitAPI):  # type: ignore[misc]
        """The model as LitServe asks it."""

        def setup(self, _: str) -> None:
            """Load the model."""
            self._model = Model()

        def decode_request(self, request: Request) -> Pixels:
            """Return the pixels of a form's picture."""
            return in_grey(Image.open(io.BytesIO(request["images"].file.read())))

        def predict(self, x: Pixels) -> list[list[float]]:
            """Answer a batch."""
            return self._model.answer(x)

        def encode_response(self, output: list[float]) -> list[list[float]]:
            """Return what one client gets."""
            return [output]


def main() -> None:
    """Serve until the process is ended."""
    name, path, signature, port = sys.argv[1:]
    os.environ |= {SAVED_MODEL: path, SIGNATURE: signature}
    if name == "bentoml":
        here = Path(__file__).resolve()
        service = f"{here.stem}:OfBentoML"
        options = ["--working-dir", str(here.parent), "--host", "127.0.0.1", "--port", port]
        os.execv(sys.executable, [sys.executable, "-m", "bentoml", "serve", service, *options])
    api = OfLitServe(max_batch_size=ROWS, batch_timeout=0.0)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(host="127.0.0.1", port=int(port), log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main()
