"""Rejected and kept rows of pictures, written as clean writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.storage import shards

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "part", "source", "content_digest")),
        ("label", pa.int32()),
        ("row", pa.int64()),
        *((f"image_{side}", pa.int32()) for side in ("height", "width", "channels")),
        ("image_encoding", pa.string()),
        ("image", pa.binary()),
        *((name, pa.string()) for name in ("reason", "column", "detail")),
    ]
)
KEPT_SCHEMA = SCHEMA.remove(SCHEMA.get_field_index("reason"))
Row = dict[str, Any]


def rejected(number: int, source: str, row: int = 0, reason: str = "exact duplicate", **values: Any) -> Row:
    """Return a rejected row; by default a grey picture of 2 × 3 raw pixels, of class 1."""
    picture = {"image_height": 2, "image_width": 3, "image_channels": 1, "image_encoding": "raw", "image": b"\0" * 6}
    place = {"id": f"{number:032x}", "label": 1, "part": "train", "source": source, "row": row}
    why = {"content_digest": f"digest-{number}", "reason": reason, "column": None, "detail": None}
    return {**place, **picture, **why, **values}


def write_rows(folder: Path, *of_shards: Sequence[Row], schema: pa.Schema = SCHEMA) -> Path:
    """Write rows as a data set, some in each shard."""
    folder.mkdir(parents=True)
    tables = [pa.Table.from_pylist(list(rows), schema) for rows in of_shards]
    entries = [shards.write_shard(folder, number, schema, [table]) for number, table in enumerate(tables)]
    shards.finish_dataset(folder, entries, schema)
    return folder
