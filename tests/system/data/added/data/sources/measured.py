"""Images with a weight each, made up from the lines `label,part,seed,weight` of `rows.csv`: the source a test adds."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.data.source_rows import Source

FEATURES = {"image": "image", "weight": "number"}
SIDE = 8


class Settings(Base):
    """It has no settings."""


def open_source(settings: Settings, folder: Path, classes: tuple[str, ...]) -> Source:
    from pipeline.data.source_rows import Source

    with (folder / "rows.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    return Source(rows=len(lines), tables=_tables(lines))


def _tables(lines: list[dict[str, str]]) -> Iterator[pa.Table]:
    import numpy as np
    import pyarrow as pa

    images = [np.random.default_rng(int(line["seed"])).integers(0, 256, SIDE * SIDE, np.uint8) for line in lines]
    count = len(lines)
    yield pa.table(
        {
            "weight": pa.array([float(line["weight"]) if line["weight"] else None for line in lines], pa.float64()),
            "image": pa.array([image.tobytes() for image in images], pa.binary()),
            "image_mode": pa.repeat("L", count),
            "image_encoding": pa.repeat("raw", count),
            "image_height": pa.repeat(SIDE, count),
            "image_width": pa.repeat(SIDE, count),
            "image_channels": pa.repeat(1, count),
            "row": np.arange(count),
            "source": pa.repeat("rows.csv", count),
            "part": [line["part"] for line in lines],
            "label": [int(line["label"]) for line in lines],
        }
    )
