"""The model's predictions, row by row, stored for the gate and the page: a data set of each part.

Columns: `id`, `label` (the truth), `answers` (the model's numbers, flat) and the slices that the recipe declares. Rows
stand in the order of the part they are for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.errors import DataError
from pipeline.recipe.task import Task
from pipeline.records.manifest import Manifest
from pipeline.storage import shards
from pipeline.storage.manifests import read_manifest
from pipeline.storage.row_columns import NUMBER_LABEL, RowColumns, slices_in

# What people are shown of single rows: whoever looks at test rows tunes to them.
SHOWN_PART = "validation"

_Number = TypeVar("_Number", np.int32, np.float32, np.float64)


@dataclass(frozen=True)
class Predictions:
    """`ids [row] str`, `labels [row] int32`, or float64 of numbers, and `answers [row, …] float32`.

    `slices` are by the rows' column, `[row] str` each.
    """

    ids: list[str]
    labels: npt.NDArray[Any]
    answers: npt.NDArray[np.float32]
    slices: Mapping[str, Sequence[str]] = field(default_factory=dict)


def write_predictions(folder: Path, part: str, predictions: Predictions, task: Task) -> Manifest:
    """Write a part as `<part>/`, a data set whose manifest has the task with what it learned, into `folder`."""
    target = folder / part
    target.mkdir()
    answers = np.ascontiguousarray(predictions.answers, np.float32)
    shape = answers.shape[1:]
    label = RowColumns.of(task.classes).label
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("label", label),
            ("answers", pa.list_(pa.float32(), math.prod(shape))),
            *((name, pa.string()) for name in predictions.slices),
        ]
    )
    table = pa.table(
        {
            "id": pa.array(predictions.ids, pa.string()),
            "label": pa.array(predictions.labels, label),
            "answers": pa.FixedSizeListArray.from_arrays(pa.array(answers.reshape(-1)), math.prod(shape)),
            **{name: pa.array(texts, pa.string()) for name, texts in predictions.slices.items()},
        },
        schema=schema,
    )
    entry = shards.write_shard(target, 0, schema, [table])
    counts: dict[str, Any] = {
        "task": task.choice.model_dump(mode="json"),
        "classes": list(task.classes),
        "answer_shape": list(shape),
    }
    if task.learned:
        counts["learned"] = task.learned
    return shards.finish_dataset(target, [entry], schema, counts=counts)


def read_predictions(folder: Path) -> Predictions:
    """Read one part's predictions after checking the manifest's digests; raise DataError if they do not match."""
    manifest = read_manifest(folder)
    shape = manifest.counts.get("answer_shape")
    if not isinstance(shape, list) or "answers" not in manifest.columns:
        raise DataError(f"{folder}: not the predictions of this Ratchet; run evaluate again")
    table = pa.concat_tables(shards.iter_tables(folder, verify=False))
    return Predictions(
        ids=table["id"].to_pylist(),
        labels=_labels(table["label"].combine_chunks()),
        answers=_numbers(table["answers"].combine_chunks().flatten(), np.float32).reshape(-1, *shape),
        slices={name: table[name].to_pylist() for name in slices_in(table.column_names)},
    )


def _labels(column: pa.Array) -> npt.NDArray[Any]:
    return _numbers(column, np.float64) if column.type == NUMBER_LABEL else _numbers(column, np.int32)


def _numbers(column: pa.Array, kind: type[_Number]) -> npt.NDArray[_Number]:
    # Arrow's own to_numpy imports pandas, which is slow.
    return np.frombuffer(column.buffers()[1], kind, count=len(column), offset=column.offset * column.type.byte_width)
