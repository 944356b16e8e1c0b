"""Prepared data as the data phase publishes it, small and random."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.recipe.recipe import ModelParams, TrainParams
from pipeline.storage import artifacts, shards
from pipeline.training.job import Job

SHAPE = (8, 8, 1)
CLASSES = ("bright", "dark", "striped")

WriteImages = Callable[..., Path]


@pytest.fixture
def write_images(tmp_path: Path) -> WriteImages:
    """Write a prepared data set of so many rows; pixel value and label of a row are functions of its number."""

    def write(name: str, rows: int, *, shape: shards.Shape = SHAPE, label: int | None = None, shards_: int = 1) -> Path:
        folder = tmp_path / name
        schema = shards.image_schema(shape)
        with artifacts.published_folder(folder) as aside:
            entries = []
            for number, part in enumerate(np.array_split(np.arange(rows), shards_)):
                pixels = np.broadcast_to((part % 256).astype(np.uint8)[:, None, None, None], (len(part), *shape))
                labels = part % len(CLASSES) if label is None else np.full(len(part), label)
                columns = {
                    "id": [f"{name}-{row}" for row in part],
                    "label": labels.astype(np.int32),
                    "pixels": shards.pixel_column(pixels),
                    "pixel_mean": np.zeros(len(part), np.float32),
                    "pixel_std": np.zeros(len(part), np.float32),
                }
                entries.append(shards.write_shard(aside, number, schema, [pa.table(columns)]))
            shards.finish_dataset(aside, entries, schema, shape=shape)
        return folder

    return write


@pytest.fixture
def job(tmp_path: Path, write_images: WriteImages) -> Job:
    """A job on 40 + 20 training and 10 validation rows, for two workers."""
    write_images("prepared/train", 40)
    write_images("prepared/validation", 10)
    write_images("augmented", 20)
    artifacts.write_json(tmp_path / "prepared/statistics.json", {"rows": 40, "mean": [100.0], "std": [50.0]})
    return Job(
        model=ModelParams(name="mlp", settings={"units": [4], "dropout": 0.0}),
        train=TrainParams(epochs=2, batch_size=8, learning_rate=0.01),
        seed=1,
        classes=CLASSES,
        prepared=str(tmp_path / "prepared"),
        augmented=str(tmp_path / "augmented"),
        work=str(tmp_path / "work"),
        tensorboard=str(tmp_path / "tensorboard"),
        workers=2,
        threads=1,
    )
