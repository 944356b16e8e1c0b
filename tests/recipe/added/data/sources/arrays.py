"""Images in two files of NumPy, `images.npy` and `labels.npy`: the first rows train, the last test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.data.source_rows import Source

FEATURES = {"image": "image"}


class Settings(Base):
    """Its settings in the recipe."""

    test_rows: int = Field(default=360, ge=1, description="rows of the test part, at the end")


def open_source(settings: Settings, folder: Path, classes: tuple[str, ...]) -> Source:
    """Open the two files."""
    import numpy as np

    from pipeline.data.source_rows import Source

    labels = np.load(folder / "labels.npy")
    return Source(rows=len(labels), tables=_tables(np.load(folder / "images.npy"), labels, settings.test_rows))


def _tables(images, labels, test_rows: int) -> Iterator[pa.Table]:
    import numpy as np
    import pyarrow as pa

    count, height, width = images.shape
    yield pa.table(
        {
            "label": pa.array(labels, pa.int32()),
            "part": ["train"] * (count - test_rows) + ["test"] * test_rows,
            "source": pa.repeat("images.npy", count),
            "row": np.arange(count),
            "image_height": pa.repeat(height, count),
            "image_width": pa.repeat(width, count),
            "image_channels": pa.repeat(1, count),
            "image_mode": pa.repeat("L", count),
            "image_encoding": pa.repeat("raw", count),
            "image": pa.array([image.tobytes() for image in images], pa.binary()),
        }
    )
