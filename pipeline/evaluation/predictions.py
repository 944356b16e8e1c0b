"""The model's predictions, row by row, stored for the gate and the page as a data set.

Columns: `id`, `label` (the true class) and `probabilities` (`[class] float32`), in the order of the part they are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.records.manifest import Manifest
from pipeline.storage import shards

_Number = TypeVar("_Number", np.int32, np.float32)


@dataclass(frozen=True)
class Predictions:
    """`ids [row] str`, `labels [row] int32`, `probabilities [row, class] float32`."""

    ids: list[str]
    labels: npt.NDArray[np.int32]
    probabilities: npt.NDArray[np.float32]


def write_predictions(folder: Path, part: str, predictions: Predictions, classes: Sequence[str]) -> Manifest:
    """Write `<part>.parquet` and the manifest into an empty folder; the manifest names the classes in order."""
    probabilities = np.ascontiguousarray(predictions.probabilities, np.float32)
    schema = pa.schema(
        [("id", pa.string()), ("label", pa.int32()), ("probabilities", pa.list_(pa.float32(), len(classes)))]
    )
    table = pa.table(
        {
            "id": pa.array(predictions.ids, pa.string()),
            "label": pa.array(predictions.labels, pa.int32()),
            "probabilities": pa.FixedSizeListArray.from_arrays(pa.array(probabilities.reshape(-1)), len(classes)),
        },
        schema=schema,
    )
    entry = shards.write_shard(folder, 0, schema, [table])
    (folder / entry.path).rename(folder / f"{part}.parquet")
    entry = entry.changed(path=f"{part}.parquet")
    return shards.finish_dataset(folder, [entry], schema, counts={"classes": list(classes)})


def read_predictions(folder: Path) -> Predictions:
    """Read predictions after checking the manifest's digests; raise DataError if they do not match."""
    table = pa.concat_tables(shards.iter_tables(folder))
    probabilities = table["probabilities"].combine_chunks()
    classes = probabilities.type.list_size
    return Predictions(
        ids=table["id"].to_pylist(),
        labels=_numbers(table["label"].combine_chunks(), np.int32),
        probabilities=_numbers(probabilities.flatten(), np.float32).reshape(-1, classes),
    )


def _numbers(column: pa.Array, kind: type[_Number]) -> npt.NDArray[_Number]:
    # Arrow's own to_numpy imports pandas, which is slow.
    return np.frombuffer(column.buffers()[1], kind, count=len(column), offset=column.offset * column.type.byte_width)
