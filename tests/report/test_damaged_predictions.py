"""Predictions and images that are not what the page expects, with every digest right."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.evaluation.predictions import Predictions, read_predictions, write_predictions
from pipeline.records.feature import FeatureSpec
from pipeline.storage.artifacts import digest_file
from pipeline.storage.manifests import read_manifest, write_manifest
from tests.report.reading import written


def image_of(*shape: int) -> FeatureSpec:
    return FeatureSpec(name="image", kind="image", dtype="uint8", shape=shape)


def rewrite_predictions(folder: Path, change: Callable[[Predictions], Predictions]) -> None:
    manifest, predictions = read_manifest(folder), read_predictions(folder)
    shutil.rmtree(folder)
    folder.mkdir()
    write_predictions(folder, "test", change(predictions), manifest.counts["classes"])


def rewrite_table(folder: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change a data set's table, with the digests in its manifest right again."""
    manifest = read_manifest(folder, verify=False)
    [entry] = manifest.files
    pq.write_table(change(pq.read_table(folder / entry.path)), folder / entry.path)
    size = (folder / entry.path).stat().st_size
    entry = entry.changed(size_bytes=size, digest=digest_file(folder / entry.path))
    write_manifest(folder, manifest.changed(files=(entry,)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: Predictions(p.ids, p.labels + 9, p.probabilities), "has labels outside of its 4 classes"),
        (lambda p: Predictions(p.ids, p.labels - 9, p.probabilities), "has labels outside of its 4 classes"),
        (lambda p: Predictions(p.ids, p.labels, p.probabilities * np.float32(np.nan)), "are not finite numbers"),
        (lambda p: Predictions([], p.labels[:0], p.probabilities[:0]), "no predictions for each row"),
    ],
)
def test_predictions_that_cannot_be_are_said(project: Path, change: Any, said: str) -> None:
    rewrite_predictions(project / "reports" / "predictions", change)

    assert said in written(project)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (None, "its manifest does not name the classes"),
        ("boot", "its manifest does not name the classes"),
        (["boot", 3, "bag", "shirt"], "its manifest does not name the classes"),
        (["boot", "coat"], "its manifest names 2 classes, its rows have 4"),
        ([], "its manifest names 0 classes, its rows have 4"),
    ],
)
def test_predictions_whose_classes_are_not_known_are_said(project: Path, classes: Any, said: str) -> None:
    folder = project / "reports" / "predictions"
    counts = {} if classes is None else {"classes": classes}
    write_manifest(folder, read_manifest(folder).changed(counts=counts))

    assert said in written(project)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop_columns(["label"]),
        lambda table: table.drop_columns(["probabilities"]),
        lambda table: table.set_column(2, "probabilities", pa.array(["x"] * len(table))),
        lambda table: table.set_column(1, "label", pa.array(["x"] * len(table))),
        lambda table: table.slice(0, 0),
    ],
)
def test_predictions_with_other_columns_are_said(project: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    rewrite_table(project / "reports" / "predictions", change)

    assert "reports/predictions: " in written(project)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop_columns(["image"]),
        lambda table: table.set_column(2, "image", pa.array([b"x"] * len(table), pa.binary(1))),
        lambda table: table.set_column(2, "image", pa.array(["x"] * len(table))),
        lambda table: table.slice(0, 3),
    ],
)
def test_images_that_are_not_what_their_manifest_says_leave_the_mistakes_without_pictures(
    project: Path, change: Callable[[pa.Table], pa.Table]
) -> None:
    rewrite_table(project / "data" / "prepared" / "test", change)

    assert "images are classified wrongly" in written(project)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ((), "none of its features is an image"),
        ((FeatureSpec(name="age", kind="number", dtype="float32", shape=()),), "none of its features is an image"),
        ((image_of(28, 28),), "none of its features is an image"),
        ((image_of(28, 28, 2),), "images of 2 channels cannot be drawn"),
        ((image_of(7, 7, 1),), "its shards are not what its manifest says"),
    ],
)
def test_images_of_a_shape_that_cannot_be_drawn_are_said(
    project: Path, features: tuple[FeatureSpec, ...], said: str
) -> None:
    folder = project / "data" / "prepared" / "test"
    write_manifest(folder, read_manifest(folder).changed(features=features))

    assert f"✗ no pictures: test: {said}" in written(project)
