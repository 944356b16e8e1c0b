"""Prepared data as the data phase publishes it, small: written without it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.records.feature import FeatureSpec
from pipeline.storage import artifacts, shards
from pipeline.storage.row_columns import WEIGHT, RowColumns


def image_spec(shape: tuple[int, int, int], mean: float = 100.0, std: float = 50.0, name: str = "image") -> FeatureSpec:
    """Return the fitted feature of images of a shape."""
    height, width, channels = shape
    return FeatureSpec(
        name=name,
        kind="image",
        dtype="uint8",
        shape=shape,
        settings={
            "raw_height": height,
            "raw_width": width,
            "channels": channels,
            "height": height,
            "width": width,
        },
        facts={f"{name}_mean": "float", f"{name}_std": "float"},
        fitted={"mean": [mean] * channels, "std": [std] * channels},
    )


def write_rows(
    folder: Path,
    specs: Sequence[FeatureSpec],
    columns: dict[str, npt.NDArray[Any]],
    labels: npt.NDArray[Any],
    *,
    parts: int = 1,
    weights: npt.NDArray[np.float64] | None = None,
) -> Path:
    """Write a prepared data set of these rows, in so many shards."""
    is_number = labels.dtype == np.float64
    schema = shards.prepared_schema(specs, RowColumns(is_number, () if weights is None else (WEIGHT,)))
    with artifacts.published_folder(folder) as aside:
        entries = []
        for number, rows in enumerate(np.array_split(np.arange(len(labels)), parts)):
            table: dict[str, Any] = {
                "id": [f"{folder.name}-{row}" for row in rows],
                "label": labels[rows] if is_number else labels[rows].astype(np.int32),
            }
            if weights is not None:
                table[WEIGHT] = weights[rows]
            for spec in specs:
                table[spec.name] = shards.column_of(columns[spec.name][rows], spec)
                table |= {fact: np.zeros(len(rows), np.float32) for fact in spec.facts}
            entries.append(shards.write_shard(aside, number, schema, [pa.table(table, schema=schema)]))
        shards.finish_dataset(aside, entries, schema, features=specs)
    return folder
