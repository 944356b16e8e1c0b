"""The candidate's worst mistakes as the task finds them, with pictures where the model is shown pictures."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import ValidationError

from pipeline.errors import DataError
from pipeline.evaluation.predictions import SHOWN_PART, Predictions, read_predictions
from pipeline.recipe.slots import Choice
from pipeline.recipe.task import Mistakes, Task, task_of
from pipeline.records.feature import FeatureSpec
from pipeline.records.manifest import Manifest
from pipeline.report.run_files import RunFiles
from pipeline.report.sections import Section, find_folder, section
from pipeline.storage import shards
from pipeline.storage.manifests import read_manifest

_DEFAULT_MISTAKES, _MOST_MISTAKES = 24, 1000
_PICTURES = "image"  # the kind of feature that people can look at
_CHANNELS = (1, 3)  # grey, colour
_LARGEST_SIDE = 128  # pixels; larger images are scaled down for the page


@dataclass(frozen=True)
class ShownMistake:
    """A wrong answer: the row, the truth, the answer and a figure about it in words."""

    row: int
    id: str
    truth: str
    answer: str
    figure: str
    picture: str = ""  # data URI of a PNG; "" if there is none


@dataclass(frozen=True)
class Errors:
    """Where the candidate errs, in the task's words, and the rows that are shown of it."""

    found: Mistakes
    worst: list[ShownMistake]
    problem: str = ""  # why there are no pictures though there should be


def read_errors(files: RunFiles, wanted: Any) -> Section[Errors]:
    """Read the predictions of a run, and the pictures of the `wanted` worst mistakes."""
    is_count = isinstance(wanted, int) and not isinstance(wanted, bool) and 0 <= wanted <= _MOST_MISTAKES
    return section(lambda: _read_errors(files, wanted if is_count else _DEFAULT_MISTAKES), files.root)


def _read_errors(files: RunFiles, wanted: int) -> Errors | None:
    everything = files.folder("predictions")
    if everything is None:
        return None
    folder = find_folder(everything / SHOWN_PART)
    if folder is None:
        raise DataError(f"{everything}: no predictions for the {SHOWN_PART} part; run evaluate again")
    manifest = read_manifest(folder, verify=False)
    predictions, task = checked_predictions(folder), _task(manifest, folder)
    try:
        task.check_answers(predictions.labels, predictions.answers)
    except DataError as error:
        raise DataError(f"{folder}: {error}") from error
    found = task.mistakes(predictions.ids, predictions.labels, predictions.answers, wanted)
    if found is None:
        return Errors(Mistakes("", (), ""), [])
    worst = [ShownMistake(one.row, predictions.ids[one.row], one.truth, one.answer, one.figure) for one in found.worst]
    shown = section(lambda: _with_pictures(files, worst), files.root)
    return Errors(found, shown.value or worst, shown.problem)


def _with_pictures(files: RunFiles, worst: list[ShownMistake]) -> list[ShownMistake]:
    prepared = files.folder("prepared")
    if prepared is None:
        raise DataError(f"the data that were asked about ({SHOWN_PART} part) are not here")
    return with_pictures(worst, prepared / SHOWN_PART)


def checked_predictions(folder: Path) -> Predictions:
    """Read predictions; raise DataError, too, for a data set that has other columns or no rows."""
    try:
        predictions = read_predictions(folder)
    except (pa.ArrowException, KeyError, AttributeError, TypeError, ValueError) as error:  # a reader of its own files
        raise DataError(f"{folder}: not predictions ({error}); make them again") from error
    if not predictions.answers.size or len(predictions.labels) != len(predictions.answers):
        raise DataError(f"{folder}: no predictions for each row; make them again")
    return predictions


def _task(manifest: Manifest, folder: Path) -> Task:
    names = manifest.counts.get("classes")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{folder}: its manifest does not name the classes; make it again")
    try:
        chosen = Choice.model_validate(manifest.counts.get("task"))
    except ValidationError as error:
        raise DataError(f"{folder}: its manifest does not name the task; make it again") from error
    learned = manifest.counts.get("learned", {})
    if not isinstance(learned, dict) or not all(isinstance(value, float) for value in learned.values()):
        raise DataError(f"{folder}: its manifest does not say what the task has learned; make it again")
    return task_of(chosen, names).with_learned(learned)


def with_pictures(mistakes: Sequence[ShownMistake], prepared: Path) -> list[ShownMistake]:
    """Return the mistakes with their pictures from a prepared part; without, if no feature is an image.

    Raises DataError if a row is not the one that the mistake is about, StorageError if the part cannot be read.
    """
    features = read_manifest(prepared, verify=False).features
    spec = drawable(features, prepared)
    if spec is None:
        return list(mistakes)
    wanted = {mistake.row: mistake for mistake in mistakes}
    pictures: dict[int, str] = {}
    start = 0
    for table in shards.iter_tables(prepared, ["id", spec.name], verify=False):
        here = [row for row in wanted if start <= row < start + table.num_rows]
        if here:
            pixels = pixels_of(table, spec, prepared)
            for row in here:
                if table["id"][row - start].as_py() != wanted[row].id:
                    raise DataError(f"{prepared.name}: row {row} is not the one that was evaluated; run again")
                pictures[row] = png_uri(pixels[row - start])
        start += table.num_rows
    return [replace(mistake, picture=pictures.get(mistake.row, "")) for mistake in mistakes]


def drawable(features: Sequence[FeatureSpec], folder: Path) -> FeatureSpec | None:
    """Return the first feature that people can look at; None if there is none.

    Raises DataError if it is no picture after all.
    """
    spec = next((feature for feature in features if feature.kind == _PICTURES), None)
    if spec and (len(spec.shape) != 3 or spec.shape[2] not in _CHANNELS or spec.dtype != "uint8"):
        raise DataError(f"{folder.name}: {spec.name} of {spec.type} cannot be drawn")
    return spec


def pixels_of(table: pa.Table, spec: FeatureSpec, prepared: Path) -> npt.NDArray[np.uint8]:
    """Return the pictures of some rows, `[row, height, width, channel]`; raise DataError if they are no such values."""
    is_described = {"id", spec.name} <= {*table.column_names} and table.schema.field(spec.name).type == pa.binary(
        math.prod(spec.shape)
    )
    if not is_described:
        raise DataError(f"{prepared.name}: its shards are not what its manifest says; run again")
    return shards.array_of(table[spec.name], spec)


def png_uri(pixels: npt.NDArray[np.uint8]) -> str:
    """Return an image `[height, width, channel] uint8` (grey or colour) as a data URI, at most 128 pixels wide."""
    from PIL import Image

    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    stream = io.BytesIO()
    image.save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
