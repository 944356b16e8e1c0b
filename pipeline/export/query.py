"""Queries a SavedModel with TensorFlow and numpy only: `python -m pipeline.export.query SAVED_MODEL IMAGES ANSWERS`.

Images and answers are `.npy` files.
"""

from __future__ import annotations

import os
import sys

import numpy as np

from pipeline.runtime import processes
from pipeline.runtime.imports import report_imports

_BATCH_ROWS = 256


def main(saved_model: str, images_path: str, answers_path: str) -> None:
    """Load the model, call its signature on the images by name, and write the probabilities."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    serve = tf.saved_model.load(saved_model).signatures["serving_default"]
    images = np.load(images_path, allow_pickle=False)
    answers = [
        serve(images=tf.constant(images[start : start + _BATCH_ROWS]))["probabilities"].numpy()
        for start in range(0, len(images), _BATCH_ROWS)
    ]
    np.save(answers_path, np.concatenate(answers), allow_pickle=False)


if __name__ == "__main__":
    report_imports()
    main(*sys.argv[1:])
    processes.leave(0)
