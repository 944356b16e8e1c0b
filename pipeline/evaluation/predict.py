"""A stored model's predictions: the same bits for the same model and pixels, on any number of cores.

Each batch is computed by one thread, and all batches have the same size (the last is padded), so neither the number of
cores nor the number of rows can change the order in which numbers are added. Several batches run in parallel.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError

BATCH_ROWS = 256


def predict(
    model_folder: Path, pixels: npt.NDArray[np.uint8], *, progress: Callable[[int, int], None] | None = None
) -> npt.NDArray[np.float32]:
    """Return the probabilities `[row, class] float32` of images `[row, height, width, channel] uint8`.

    `progress` is called with the rows done and their total. Raises DataError if the images do not have the model's
    input shape.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    from pipeline.models import stored

    architecture = stored.read_architecture(model_folder)
    shape = tuple(architecture.input_shape)
    if pixels.shape[1:] != shape:
        raise DataError(f"{model_folder}: the model takes images of {list(shape)}, got {list(pixels.shape[1:])}")
    _fix_arithmetic()
    model = stored.load(model_folder)
    answer = tf.function(
        lambda images: model(images, training=False),
        input_signature=[tf.TensorSpec([BATCH_ROWS, *shape], tf.uint8)],
        autograph=False,
    )

    def batch(start: int) -> npt.NDArray[np.float32]:
        images = pixels[start : start + BATCH_ROWS]
        rows = len(images)
        if rows < BATCH_ROWS:
            images = np.concatenate([images, np.zeros((BATCH_ROWS - rows, *shape), np.uint8)])
        result: npt.NDArray[np.float32] = answer(tf.constant(images)).numpy()[:rows]
        return result

    probabilities = np.empty((len(pixels), len(architecture.classes)), np.float32)
    starts = range(0, len(pixels), BATCH_ROWS)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start, result in zip(starts, pool.map(batch, starts), strict=True):
            probabilities[start : start + len(result)] = result
            if progress is not None:
                progress(start + len(result), len(pixels))
    return probabilities


def _fix_arithmetic() -> None:
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    # Once TensorFlow has started, its threads cannot be changed; then only the deterministic operations apply.
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
