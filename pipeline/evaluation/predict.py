"""A stored model's predictions: the same bits for the same model and rows, on any number of cores.

Each batch is computed by one thread, and all batches have the same size (the last is padded), so neither the number of
cores nor the number of rows can change the order in which numbers are added. Several batches run in parallel.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError, nearest
from pipeline.records.feature import FeatureSpec
from pipeline.runtime.progress import Starting
from pipeline.runtime.tensorflow_import import import_tensorflow
from pipeline.storage.mapped import Values

BATCH_ROWS = 256


def predict(
    model_folder: Path,
    columns: Mapping[str, Values],
    *,
    served: Mapping[str, npt.NDArray[Any]] | None = None,
    progress: Callable[[int, int], None] | None = None,
    starting: Starting = contextlib.nullcontext,
) -> npt.NDArray[np.float32]:
    """Return the answers `[row, …] float32` to prepared features by name, `{name: [row, *shape]}`.

    Columns that the model does not take are left out. Features that are `served`, raw values `[row]`, are prepared by
    what is fitted inside the model, in the place of their prepared values: so must a model be asked that was fitted on
    other rows than these. `progress` is called with the rows done and their total,
    `starting` with what is loaded first. Raises DataError if a feature that the model takes is missing or of another
    shape or dtype.
    """
    from pipeline.models import stored
    from pipeline.models.build import preprocessing_module
    from pipeline.models.serving import with_no_answers

    features = stored.read_architecture(model_folder).features
    raw = {spec.name: spec for spec in features if spec.name in (served or {})}
    rows = _require_taken([spec for spec in features if spec.name not in raw], columns, str(model_folder), served or {})
    with starting("TensorFlow"):
        tf = import_tensorflow()
        _fix_arithmetic(tf)
        model = stored.load(model_folder)
    taken = {spec.name: tf.TensorSpec([BATCH_ROWS, *spec.shape], spec.dtype) for spec in features}
    prepares = {}
    for name, spec in raw.items():
        module = preprocessing_module(spec.kind)
        shape, dtype = module.raw_input(spec)
        taken[name] = tf.TensorSpec([BATCH_ROWS, *shape], dtype)
        prepares[name] = partial(module.prepare, spec)

    def answers_to(batch: dict[str, Any]) -> Any:
        given = {name: prepares[name](values) if name in prepares else values for name, values in batch.items()}
        return with_no_answers(model(given, training=False), {name: given[name] for name in raw})

    answer = tf.function(answers_to, input_signature=[taken], autograph=False)

    def batch(start: int) -> npt.NDArray[np.float32]:
        given = {spec.name: (served or {}) if spec.name in raw else columns for spec in features}
        part = {name: _padded(of[name][start : start + BATCH_ROWS]) for name, of in given.items()}
        result: npt.NDArray[np.float32] = answer({name: tf.constant(values) for name, values in part.items()}).numpy()
        return result[: rows - start]

    answers = np.empty((rows, *model.output.shape[1:]), np.float32)
    starts = range(0, rows, BATCH_ROWS)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start, result in zip(starts, pool.map(batch, starts), strict=True):
            answers[start : start + len(result)] = result
            if progress is not None:
                progress(start + len(result), rows)
    return answers


def _require_taken(
    features: Sequence[FeatureSpec], columns: Mapping[str, Values], where: str, served: Mapping[str, Any]
) -> int:
    """Return the number of rows of columns that fit the features; raise DataError led by `where` if they do not."""
    for spec in features:
        if spec.name not in columns:
            raise DataError(
                f"{where}: the model takes feature '{spec.name}', there is none{nearest(spec.name, columns)}"
            )
        values = columns[spec.name]
        if (values.dtype, values.shape[1:]) != (np.dtype(spec.dtype), spec.shape):
            given = f"{values.dtype}[{','.join(map(str, values.shape[1:]))}]"
            raise DataError(f"{where}: the model takes {spec.name} as {spec.type}, got {given}")
    lengths = {len(columns[spec.name]) for spec in features} | {len(values) for values in served.values()}
    if len(lengths) != 1:
        raise DataError(f"{where}: features of {sorted(lengths)} rows do not go together")
    return lengths.pop()


def _padded(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    missing = BATCH_ROWS - len(values)
    return np.concatenate([values, _nothing(missing, values)]) if missing else values


def _nothing(rows: int, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if values.dtype == np.object_:
        return np.full((rows, *values.shape[1:]), "", np.object_)
    return np.zeros((rows, *values.shape[1:]), values.dtype)


def _fix_arithmetic(tf: Any) -> None:
    tf.config.experimental.enable_op_determinism()
    # Once TensorFlow has started, its threads cannot be changed; then only the deterministic operations apply.
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
