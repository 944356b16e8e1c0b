"""Queries a SavedModel with TensorFlow and numpy only: `python -m pipeline.export.query SAVED_MODEL COLUMNS ANSWERS`.

COLUMNS is a folder with one file a feature, called as it is: `.npy`, or of texts `.json`, a list. ANSWERS is a `.npy`
file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.runtime import processes
from pipeline.runtime.imports import report_imports
from pipeline.runtime.progress import starting_since_birth
from pipeline.runtime.tensorflow_import import import_tensorflow

_BATCH_ROWS = 256


def main(saved_model: str, columns_folder: str, answers_path: str) -> None:
    """Load the model, call its signature on the columns by name, and write its one output.

    What the model itself refuses ends the process, in one line.
    """
    with starting_since_birth("TensorFlow, to ask the exported model"):
        tf = import_tensorflow()
        tf.config.threading.set_intra_op_parallelism_threads(1)  # several would add in an order of their own
        serve = tf.saved_model.load(saved_model).signatures["serving_default"]
    columns = {path.stem: _read(path) for path in sorted(Path(columns_folder).iterdir())}
    rows = max(len(values) for values in columns.values())
    answers = []
    for start in range(0, rows, _BATCH_ROWS):
        batch = {name: tf.constant(values[start : start + _BATCH_ROWS]) for name, values in columns.items()}
        try:
            [answer] = serve(**batch).values()
        except tf.errors.InvalidArgumentError as error:
            lines = error.message.splitlines()  # those with brackets are about places in the graph
            sys.exit(next((line for line in reversed(lines) if line and "{{" not in line), error.message))
        answers.append(answer.numpy())
    np.save(answers_path, np.concatenate(answers), allow_pickle=False)


def _read(path: Path) -> Any:
    """Return the values of a feature, `[row, …]`, or the list of its texts."""
    return json.loads(path.read_text()) if path.suffix == ".json" else np.load(path, mmap_mode="r", allow_pickle=False)


if __name__ == "__main__":
    report_imports()
    main(*sys.argv[1:])
    processes.leave(0)
