"""Prepared images as normalize writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.storage import artifacts, shards
from tests.models.made import image


def write_images(folder: Path, ids: Sequence[str], pixels: Any, labels: Any) -> None:
    """Write images `[row, height, width, channel] uint8` as a prepared part, and beside it as they are served."""
    spec = image(pixels.shape[1:])
    schema = shards.prepared_schema([spec])
    flat = pixels.reshape(len(pixels), -1)
    columns = {
        "id": list(ids),
        "label": labels.astype(np.int32),
        "image": shards.column_of(pixels, spec),
        "image_mean": flat.mean(axis=1).astype(np.float32),
        "image_std": flat.std(axis=1).astype(np.float32),
    }
    with artifacts.published_folder(folder) as aside:
        entry = shards.write_shard(aside, 0, schema, [pa.table(columns, schema=schema)])
        shards.finish_dataset(aside, [entry], schema, features=[spec])
    if folder.name in ("validation", "test"):
        _write_served(folder.parents[1] / "served" / folder.name, ids)


def _write_served(folder: Path, ids: Sequence[str]) -> None:
    """Write the rows of a part as a served model takes them: of images nothing more than is prepared."""
    schema = pa.schema([("id", pa.string())])
    with artifacts.published_folder(folder) as aside:
        entry = shards.write_shard(aside, 0, schema, [pa.table({"id": list(ids)}, schema=schema)])
        shards.finish_dataset(aside, [entry], schema)
