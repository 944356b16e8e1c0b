"""Copies that a step adds by class are written on Spark: the same ones however the training rows are cut."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.contracts import frames
from pipeline.data.augmenting import augment_dataset
from pipeline.recipe.recipe import AugmentParams
from pipeline.storage.artifacts import published_folder
from pipeline.storage.manifests import read_manifest, write_manifest
from pipeline.storage.shards import read_rows
from tests.training.made import image_spec, write_rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LABELS = np.repeat([0, 1, 2], [40, 8, 2])
COUNTS = {"cat": 40, "dog": 8, "emu": 2}
STEPS = [{"name": "noise", "settings": {"levels": 9.0}}, {"name": "oversample", "settings": {"share": 0.5}}]


def augmented(spark: SparkSession, folder: Path, parts: int, copies: int) -> tuple[Path, list[tuple[int, int]]]:
    pixels = np.random.default_rng(4).integers(0, 256, (50, 8, 9, 1), np.uint8)
    spec = image_spec((8, 9, 1)).changed(facts={"image_mean": "float32", "image_std": "float32"})
    training = write_rows(folder / f"{parts}/train", [spec], {"image": pixels}, LABELS, parts=parts)
    write_manifest(training, read_manifest(training).changed(counts={"classes": COUNTS}))
    params, told = AugmentParams.model_validate({"copies": copies, "steps": STEPS}), []
    with published_folder(folder / f"{parts}/augmented") as aside:
        augment_dataset(
            spark, training, aside, seed=1, params=params, on_progress=lambda done, total: told.append((done, total))
        )
    return folder / f"{parts}/augmented", told


@pytest.mark.parametrize(("copies", "by_class"), [(0, (0, 2, 9)), (1, (1, 4, 19))])
def test_rare_classes_get_their_copies_whatever_the_shards(
    spark: SparkSession, tmp_path: Path, copies: int, by_class: tuple[int, ...]
) -> None:
    made = {}
    for parts in (1, 5):  # without copies for all, most of five shards have none
        folder, told = augmented(spark, tmp_path, parts, copies)
        manifest, rows = read_manifest(folder), read_rows(folder)
        classes = {name: COUNTS[name] * each for name, each in zip(COUNTS, by_class, strict=True)}
        assert manifest.counts == {
            "copies": copies,
            "classes": classes,
            "copies_by_class": dict(zip(COUNTS, by_class, strict=True)),
        }
        assert len(rows) == manifest.rows == sum(classes.values())
        assert told[-1] == (manifest.rows, manifest.rows)
        assert (
            frames.open_part(folder).manifest.rows
            == spark.read.parquet(*map(str, folder.glob("*.parquet"))).count()
            == manifest.rows
        )
        pixels = [each.tobytes() for each in rows.columns["image"][:]]
        made[parts] = dict(zip(rows.ids, zip(rows.labels.tolist(), pixels, strict=True), strict=True))
    assert made[1] == made[5]
