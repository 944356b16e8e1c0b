"""A small job, and its data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.recipe.recipe import AugmentParams, TrainParams
from pipeline.recipe.slots import Choice
from pipeline.records.feature import FeatureSpec
from pipeline.training.job import Job
from tests.training.made import image_spec, write_rows

IMAGE = image_spec((8, 8, 1))
CLASSES = ("bright", "dark", "striped")

WriteImages = Callable[..., Path]


@pytest.fixture
def write_images(tmp_path: Path) -> WriteImages:
    """Write a prepared data set of so many rows; grey level and label of a row are functions of its number."""

    def write(name: str, rows: int, *, spec: FeatureSpec = IMAGE, label: int | None = None, parts: int = 1) -> Path:
        numbers = np.arange(rows)
        images = np.broadcast_to((numbers % 256).astype(np.uint8)[:, None, None, None], (rows, *spec.shape))
        labels = numbers % len(CLASSES) if label is None else np.full(rows, label)
        return write_rows(tmp_path / name, [spec], {"image": images}, labels, parts=parts)

    return write


@pytest.fixture
def job(tmp_path: Path, write_images: WriteImages) -> Job:
    """A job on 40 + 20 training and 10 validation rows, for two workers."""
    write_images("prepared/train", 40)
    write_images("prepared/validation", 10)
    write_images("augmented", 20)
    return Job(
        task=Choice(name="classification"),
        model=Choice(name="mlp", settings={"units": [4], "dropout": 0.0}),
        train=TrainParams(epochs=2, batch_size=8, learning_rate=0.01),
        augment=AugmentParams(copies=1),
        seed=1,
        classes=CLASSES,
        code={"pipeline/training/loop.py": "sha256:01", "pipeline/training/losses/cross_entropy.py": "sha256:02"},
        prepared=str(tmp_path / "prepared"),
        augmented=str(tmp_path / "augmented"),
        work=str(tmp_path / "work"),
        tensorboard=str(tmp_path / "tensorboard"),
        workers=2,
        threads=1,
    )
