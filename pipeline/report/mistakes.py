"""The candidate's most confident mistakes, as pictures, and which classes it mistakes for which."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.errors import DataError
from pipeline.evaluation.predictions import Predictions, read_predictions
from pipeline.records.feature import FeatureSpec
from pipeline.records.manifest import Manifest
from pipeline.report.run_files import RunFiles
from pipeline.report.sections import Section, section
from pipeline.storage import shards
from pipeline.storage.manifests import read_manifest

_DEFAULT_MISTAKES, _MOST_MISTAKES = 24, 1000
_CONFUSIONS = 8
_IMAGE = "image"  # the kind of feature
_CHANNELS = (1, 3)  # grey, colour
_LARGEST_SIDE = 128  # pixels; larger images are scaled down for the page


@dataclass(frozen=True)
class Mistake:
    """A wrong prediction: the row, its true class, the predicted class, and the model's confidence in it."""

    row: int
    id: str
    truth: str
    answer: str
    confidence: float
    picture: str = ""  # data URI of a PNG; "" if the pixels are not available


@dataclass(frozen=True)
class Confusion:
    """How many rows of one class were mistaken for another."""

    truth: str
    answer: str
    rows: int
    share: float  # of the rows of the true class


@dataclass(frozen=True)
class Errors:
    """The candidate's wrong predictions on a part of the data: the most confident ones and the commonest confusions."""

    worst: list[Mistake]
    confusions: list[Confusion]
    wrong: int
    rows: int
    problem: str = ""  # why there are no pictures


def read_errors(files: RunFiles, wanted: Any) -> Section[Errors]:
    """Read the predictions of a run, and the pictures of the `wanted` worst mistakes."""
    is_count = isinstance(wanted, int) and not isinstance(wanted, bool) and 0 <= wanted <= _MOST_MISTAKES
    return section(lambda: _read_errors(files, wanted if is_count else _DEFAULT_MISTAKES), files.root)


def _read_errors(files: RunFiles, wanted: int) -> Errors | None:
    folder = files.folder("predictions")
    if folder is None:
        return None
    manifest = read_manifest(folder, verify=False)
    predictions, classes = checked_predictions(folder), _classes(manifest, folder)
    _check_classes(predictions, classes, folder)
    worst = worst_mistakes(predictions, classes, wanted)
    shown = section(lambda: _with_pictures(files, worst, Path(manifest.files[0].path).stem), files.root)
    wrong = int((predictions.probabilities.argmax(axis=1) != predictions.labels).sum())
    confusions = common_confusions(predictions, classes, _CONFUSIONS)
    return Errors(shown.value or worst, confusions, wrong, len(predictions.ids), shown.problem)


def _with_pictures(files: RunFiles, worst: list[Mistake], part: str) -> list[Mistake]:
    prepared = files.folder("prepared")
    if prepared is None:
        raise DataError(f"the data that were asked about ({part} part) are not here")
    return with_pictures(worst, prepared / part)


def checked_predictions(folder: Path) -> Predictions:
    """Read predictions; raise DataError, too, for a data set that has other columns or no rows."""
    try:
        predictions = read_predictions(folder)
    except (pa.ArrowException, KeyError, AttributeError, ValueError) as error:  # of a reader that expects its own files
        raise DataError(f"{folder}: not predictions ({error}); make them again") from error
    if not predictions.probabilities.size or len(predictions.labels) != len(predictions.probabilities):
        raise DataError(f"{folder}: no predictions for each row; make them again")
    if not np.isfinite(predictions.probabilities).all():
        raise DataError(f"{folder}: holds probabilities that are not finite numbers; make them again")
    return predictions


def _classes(manifest: Manifest, folder: Path) -> list[str]:
    names = manifest.counts.get("classes")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{folder}: its manifest does not name the classes; make it again")
    return names


def _check_classes(predictions: Predictions, classes: Sequence[str], folder: Path) -> None:
    asked = predictions.probabilities.shape[1]
    if len(classes) != asked:
        raise DataError(f"{folder}: its manifest names {len(classes)} classes, its rows have {asked}; make it again")
    if predictions.labels.min() < 0 or predictions.labels.max() >= asked:
        raise DataError(f"{folder}: has labels outside of its {asked} classes; make it again")


def worst_mistakes(predictions: Predictions, classes: Sequence[str], count: int) -> list[Mistake]:
    """Return the wrong predictions with the highest confidence, most confident first; ties by id."""
    answers = predictions.probabilities.argmax(axis=1)
    confidence = predictions.probabilities.max(axis=1)
    wrong = np.flatnonzero(answers != predictions.labels)
    order = sorted(wrong.tolist(), key=lambda row: (-float(confidence[row]), predictions.ids[row]))
    return [
        Mistake(
            row,
            predictions.ids[row],
            classes[int(predictions.labels[row])],
            classes[int(answers[row])],
            float(confidence[row]),
        )
        for row in order[:count]
    ]


def common_confusions(predictions: Predictions, classes: Sequence[str], count: int) -> list[Confusion]:
    """Return the pairs of classes that are confused most often, by number of rows."""
    size = len(classes)
    answers = predictions.probabilities.argmax(axis=1)
    matrix = np.bincount(predictions.labels * size + answers, minlength=size * size).reshape(size, size)
    rows = matrix.sum(axis=1)
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:count]
    pairs = [divmod(int(cell), size) for cell in order]
    return [
        Confusion(
            classes[truth], classes[answer], int(matrix[truth, answer]), float(matrix[truth, answer] / rows[truth])
        )
        for truth, answer in pairs
        if matrix[truth, answer]
    ]


def with_pictures(mistakes: Sequence[Mistake], prepared: Path) -> list[Mistake]:
    """Return the mistakes with their pictures from a prepared part.

    Raises DataError if a row is not the one that the mistake is about, StorageError if the part cannot be read.
    """
    image = _image_of(read_manifest(prepared, verify=False), prepared)
    wanted = {mistake.row: mistake for mistake in mistakes}
    pictures: dict[int, str] = {}
    start = 0
    for table in shards.iter_tables(prepared, ["id", image.name], verify=False):
        here = [row for row in wanted if start <= row < start + table.num_rows]
        if here:
            names = {"id", image.name}
            if not names <= {*table.column_names} or table.schema.field(image.name).type != shards.arrow_type(image):
                raise DataError(f"{prepared.name}: its shards are not what its manifest says; run again")
            pixels = shards.array_of(table[image.name], image)
            for row in here:
                if table["id"][row - start].as_py() != wanted[row].id:
                    raise DataError(f"{prepared.name}: row {row} is not the one that was evaluated; run again")
                pictures[row] = png_uri(pixels[row - start])
        start += table.num_rows
    return [Mistake(m.row, m.id, m.truth, m.answer, m.confidence, pictures.get(m.row, "")) for m in mistakes]


def _image_of(manifest: Manifest, prepared: Path) -> FeatureSpec:
    for feature in manifest.features:
        if feature.kind == _IMAGE and feature.dtype == "uint8" and len(feature.shape) == 3:
            if feature.shape[2] not in _CHANNELS:
                raise DataError(f"{prepared.name}: images of {feature.shape[2]} channels cannot be drawn")
            return feature
    raise DataError(f"{prepared.name}: none of its features is an image")


def png_uri(pixels: npt.NDArray[np.uint8]) -> str:
    """Return an image `[height, width, channel] uint8` (grey or colour) as a data URI, at most 128 pixels wide."""
    from PIL import Image

    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    stream = io.BytesIO()
    image.save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
