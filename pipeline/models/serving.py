"""What a served model takes and gives, declared once: its export, the registry's signature and who asks it agree on it.

Inputs are raw features, each by its name; the one output has the name that the task's file gives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.models.build import output_module, preprocessing_module
from pipeline.records.architecture import Architecture
from pipeline.storage.shards import Columns

SIGNATURE = "serving_default"


def raw_inputs(architecture: Architecture) -> dict[str, tuple[tuple[int | None, ...], str]]:
    """Return shape and dtype of one raw value of each feature, by name; None is a side of any length."""
    return {spec.name: preprocessing_module(spec.kind).raw_input(spec) for spec in architecture.features}


def output_name(architecture: Architecture) -> str:
    """Return the name of the answers."""
    name: str = output_module(architecture).NAME
    return name


def in_raw_types(architecture: Architecture, columns: Mapping[str, Any]) -> Columns:
    """Return columns by feature, `[row, *shape]`, in the types in which the model takes raw values.

    Texts are Python's, of any length; for None stands an empty one, which is how a model takes what is missing.
    """
    return {name: _in_type(columns[name], dtype) for name, (_, dtype) in raw_inputs(architecture).items()}


def _in_type(values: Any, dtype: str) -> npt.NDArray[Any]:
    if dtype != "string":
        return np.asarray(values).astype(dtype, copy=False)
    texts = np.empty(len(values), np.object_)
    texts[:] = ["" if text is None else str(text) for text in values]
    return texts


def with_no_answers(answers: Any, prepared: Mapping[str, Any]) -> Any:
    """Return answers `[batch, …]`, NaN in the rows where a prepared number is NaN.

    The layers alone do not see to it: a fused activation makes 0 of NaN, and of that an answer like any other.
    """
    import tensorflow as tf

    for values in prepared.values():
        if values.dtype.is_floating:
            # NaN is neither; other formats have no operation for it, and turn `≤` into `not >`.
            is_number = tf.reshape((values > 0) | (values < 1), [-1, int(np.prod(values.shape[1:]))])
            has_answer = tf.reshape(tf.reduce_all(is_number, axis=1), [-1] + [1] * (len(answers.shape) - 1))
            answers = tf.where(has_answer, answers, tf.constant(np.nan, answers.dtype))
    return answers
