"""Asks one form of a model, and times it: `python -m pipeline.export.trial FORMAT PATH QUESTIONS ANSWERS`.

QUESTIONS has a folder of raw values by feature for each set of rows; ANSWERS gets a `.npy` file for each, and
`speeds.json`, which is about the set `rows`. FORMAT `trained` is the stored model itself, in the folder PATH. Only the
form's own runtime is loaded.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.export.column_files import read_columns
from pipeline.export.forms import FORMAT, Asked
from pipeline.runtime import processes
from pipeline.runtime.imports import report_imports
from pipeline.storage.shards import Columns

TRAINED = "trained"
ROWS = "rows"
SPEEDS = "speeds.json"
_BATCH_ROWS = 256
_TIMED_ROWS = (1, 64)
_CALLS, _TIMED_S = 300, 1.5


def main(name: str, path: str, questions: str, answers: str) -> None:
    """Load it, ask it about every set, and write what it answers."""
    asked = _trained(Path(path)) if name == TRAINED else FORMAT.member(name).load(Path(path))
    for folder in sorted(Path(questions).iterdir()):
        columns = read_columns(folder)
        np.save(Path(answers) / f"{folder.name}.npy", np.concatenate([asked(batch) for batch in batches(columns)]))
        if folder.name == ROWS and name != TRAINED:
            speeds = [speed(asked, columns, rows) for rows in _TIMED_ROWS]
            (Path(answers) / SPEEDS).write_text(json.dumps(speeds))


def batches(columns: Columns, rows: int = _BATCH_ROWS) -> Iterator[Columns]:
    """Yield rows in batches."""
    for start in range(0, len(next(iter(columns.values()))), rows):
        yield {name: values[start : start + rows] for name, values in columns.items()}


def speed(
    asked: Asked, columns: Columns, rows: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Return how long a call with so many rows takes, as the fields of a ServedSpeed."""
    places = np.arange(rows) % len(next(iter(columns.values())))
    batch = {name: values[places] for name, values in columns.items()}
    asked(batch)  # the first call also prepares
    taken: list[float] = []
    began = clock()
    while len(taken) < _CALLS and (not taken or clock() - began < _TIMED_S):
        start = clock()
        asked(batch)
        taken.append(clock() - start)
    p50, p95 = np.percentile(taken, [50, 95]) * 1000
    return {"rows": rows, "p50_ms": round(float(p50), 4), "p95_ms": round(float(p95), 4)}


def _trained(model_folder: Path) -> Asked:
    from pipeline.export.saved_model import serving_module
    from pipeline.runtime.tensorflow_import import import_tensorflow

    tf, module = import_tensorflow(), serving_module(model_folder)

    def asked(columns: Columns) -> Any:
        [answers] = module.serve({name: tf.constant(values) for name, values in columns.items()}).values()
        return answers.numpy()

    return asked


if __name__ == "__main__":
    report_imports()
    main(*sys.argv[1:])
    processes.leave(0)
