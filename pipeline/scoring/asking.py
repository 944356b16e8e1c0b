"""A SavedModel in a worker's process: loaded once, asked on one thread, so that its sums have one order."""

from __future__ import annotations

import gc
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.models.serving import SIGNATURE
from pipeline.runtime.tensorflow_import import import_tensorflow
from pipeline.storage.shards import Columns

if TYPE_CHECKING:
    from pipeline.scoring.rows import Answer


@cache  # one for each process: Spark's workers stay from shard to shard
def answering(saved_model: Path) -> Answer:
    """Return what asks a SavedModel about features by name; Keras is not loaded for it."""
    tf = import_tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    serve = tf.saved_model.load(str(saved_model)).signatures[SIGNATURE]

    # Spark's worker collects garbage after each task, and of what is loaded nothing is: it would look at all of it.
    gc.freeze()

    def answer(columns: Columns) -> npt.NDArray[np.float32]:
        batch = {
            name: tf.constant(values.tolist() if values.dtype == np.object_ else values)
            for name, values in columns.items()
        }
        try:
            [found] = serve(**batch).values()
        except tf.errors.InvalidArgumentError as error:
            lines = error.message.splitlines()  # those with brackets are about places in the graph
            said = next((line for line in reversed(lines) if line and "{{" not in line), error.message)
            raise DataError(f"the exported model does not answer: {said:.200}") from error
        answers: npt.NDArray[np.float32] = found.numpy()
        return answers

    return answer
