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
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import Task, task_of
from pipeline.records.manifest import Manifest
from pipeline.storage.artifacts import digest_file
from pipeline.storage.manifests import read_manifest, write_manifest
from tests.report.reading import written


def rewrite_predictions(folder: Path, change: Callable[[Predictions], Predictions]) -> None:
    manifest, predictions = read_manifest(folder), read_predictions(folder)
    shutil.rmtree(folder)
    write_predictions(folder.parent, folder.name, change(predictions), answers_task(manifest))


def answers_task(manifest: Manifest) -> Task:
    return task_of(Choice.model_validate(manifest.counts["task"]), manifest.counts["classes"])


def rewrite_table(folder: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change a data set's table, with the digests in its manifest right again."""
    manifest = read_manifest(folder, verify=False)
    [entry] = manifest.files
    pq.write_table(change(pq.read_table(folder / entry.path)), folder / entry.path)
    size = (folder / entry.path).stat().st_size
    entry = entry.changed(size_bytes=size, digest=digest_file(folder / entry.path))
    write_manifest(folder, manifest.changed(files=(entry,)))


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: Predictions(p.ids, p.labels + 9, p.answers), "is none of the 4 classes"),
        (lambda p: Predictions(p.ids, p.labels - 9, p.answers), "is none of the 4 classes"),
        (lambda p: Predictions(p.ids, p.labels, p.answers * np.float32(np.nan)), "is no probability distribution"),
        (lambda p: Predictions([], p.labels[:0], p.answers[:0]), "no predictions for each row"),
    ],
)
def test_predictions_that_cannot_be_are_said(project: Path, change: Any, said: str) -> None:
    rewrite_predictions(project / "reports" / "predictions" / "validation", change)

    assert said in written(project)


@pytest.mark.long
@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (None, "its manifest does not name the classes"),
        ("boot", "its manifest does not name the classes"),
        (["boot", 3, "bag", "shirt"], "its manifest does not name the classes"),
        (["boot", "coat"], "the model answers with shape [400, 4], expected [400, 2]"),
        ([], "the model answers with shape [400, 4], expected [400, 0]"),
    ],
)
def test_predictions_whose_classes_are_not_known_are_said(project: Path, classes: Any, said: str) -> None:
    folder = project / "reports" / "predictions" / "validation"
    manifest = read_manifest(folder)
    write_manifest(folder, manifest.changed(counts={**manifest.counts, "classes": classes}))

    assert said in written(project)


@pytest.mark.long
@pytest.mark.parametrize(
    ("task", "said"),
    [
        (None, "its manifest does not name the task"),
        (3, "its manifest does not name the task"),
        ({"name": "../x"}, "its manifest does not name the task"),
        ("sorting", "no task 'sorting' in pipeline/evaluation/tasks"),
        ({"name": "classification", "settings": {"luck": 1}}, "unknown key 'task.settings.luck'"),
    ],
)
def test_predictions_whose_task_is_not_known_are_said(project: Path, task: Any, said: str) -> None:
    folder = project / "reports" / "predictions" / "validation"
    manifest = read_manifest(folder)
    write_manifest(folder, manifest.changed(counts={**manifest.counts, "task": task}))

    assert said in written(project)


@pytest.mark.long
@pytest.mark.parametrize("shape", [None, 3, ["a"], [], [3], [4, 1], [-1], [10**30]])
def test_predictions_of_another_shape_are_said(project: Path, shape: Any) -> None:
    folder = project / "reports" / "predictions" / "validation"
    manifest = read_manifest(folder)
    write_manifest(folder, manifest.changed(counts={**manifest.counts, "answer_shape": shape}))

    assert "reports/predictions/validation: " in written(project)


@pytest.mark.long
@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop_columns(["label"]),
        lambda table: table.drop_columns(["answers"]),
        lambda table: table.set_column(2, "answers", pa.array(["x"] * len(table))),
        lambda table: table.set_column(1, "label", pa.array(["x"] * len(table))),
        lambda table: table.slice(0, 0),
    ],
)
def test_predictions_with_other_columns_are_said(project: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    rewrite_table(project / "reports" / "predictions" / "validation", change)

    assert "reports/predictions/validation: " in written(project)


@pytest.mark.long
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
    rewrite_table(project / "data" / "prepared" / "validation", change)

    assert "rows are classified wrongly" in written(project)


@pytest.mark.long
@pytest.mark.parametrize(
    "change", [{"shape": (28, 28, 2)}, {"shape": (7, 7, 1)}, {"shape": (28,)}, {"shape": ()}, {"dtype": "float32"}]
)
def test_images_that_cannot_be_drawn_are_said(project: Path, change: dict[str, Any]) -> None:
    folder = project / "data" / "prepared" / "validation"
    manifest = read_manifest(folder)
    write_manifest(folder, manifest.changed(features=(manifest.features[0].changed(**change),)))

    assert "✗ no pictures:" in written(project)
