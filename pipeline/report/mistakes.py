"""The candidate's most confident mistakes, as pictures, and which classes it mistakes for which."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.evaluation.predictions import Predictions
from pipeline.storage import shards
from pipeline.storage.manifests import read_manifest

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
    shape = shards.image_shape(read_manifest(prepared, verify=False))
    wanted = {mistake.row: mistake for mistake in mistakes}
    pictures: dict[int, str] = {}
    start = 0
    for table in shards.iter_tables(prepared, ["id", "pixels"], verify=False):
        here = [row for row in wanted if start <= row < start + table.num_rows]
        if here:
            pixels = shards.pixels_of(table["pixels"], shape)
            for row in here:
                if table["id"][row - start].as_py() != wanted[row].id:
                    raise DataError(f"{prepared.name}: row {row} is not the one that was evaluated; run evaluate again")
                pictures[row] = png_uri(pixels[row - start])
        start += table.num_rows
    return [Mistake(m.row, m.id, m.truth, m.answer, m.confidence, pictures.get(m.row, "")) for m in mistakes]


def png_uri(pixels: npt.NDArray[np.uint8]) -> str:
    """Return an image `[height, width, channel] uint8` (grey or colour) as a data URI, at most 128 pixels wide."""
    from PIL import Image

    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    stream = io.BytesIO()
    image.save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
