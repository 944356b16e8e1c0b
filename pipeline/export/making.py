"""Makes a stored model's forms, and proves each of them against what the SavedModel answers."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.errors import DataError
from pipeline.export.ask import ask
from pipeline.export.parity import Answers, compare
from pipeline.export.saved_model import exported, serving_module
from pipeline.models import stored
from pipeline.records.served_model import SAVED_MODEL, ServedFormat
from pipeline.runtime.progress import Starting
from pipeline.runtime.tensorflow_import import import_tensorflow
from pipeline.storage.artifacts import digest_file
from pipeline.storage.shards import Columns

_SAVED_MODEL_PLACE = "saved_model/1"
_TOLERANCE = 1e-4  # of any number, by its size where that is above 1: the gate's default
_BATCH_ROWS = 256


@dataclass(frozen=True)
class Made:
    """A model's forms: where each one's files are now and where they belong, and the SavedModel's `answers`."""

    answers: Answers
    formats: tuple[ServedFormat, ...]
    sources: Mapping[Path, str]
    refused: Mapping[str, str] = field(default_factory=dict)
    made_with: Mapping[str, str] = field(default_factory=dict)


def make(
    model_folder: Path,
    exports: Path,
    rows: Columns,
    formats: Sequence[str],
    scratch: Path,
    *,
    threshold: float | None = None,
    calibration: Columns | None = None,
    starting: Starting = nullcontext,
) -> Made:
    """Return the forms of a stored model; `rows`, raw ones by feature, are what they are compared on. See `served`."""
    saved_model = exported(model_folder, exports, starting)
    answers = ask(saved_model, rows, scratch / "ask")
    with starting("TensorFlow"):
        trained = _trained_answers(model_folder, rows)
    has_classes = bool(stored.read_architecture(model_folder).classes)
    parity = compare(answers, trained, has_classes=has_classes, threshold=threshold)
    if not parity.largest_difference <= _TOLERANCE:
        raise DataError(
            f"{model_folder}: its SavedModel answers differently from the trained model, by "
            f"{parity.largest_difference:g} where {_TOLERANCE:g} may be; it is not exported"
        )
    form = described(SAVED_MODEL, saved_model, _SAVED_MODEL_PLACE).changed(
        largest_difference=parity.largest_difference, agreement=parity.agreement, tolerance=_TOLERANCE
    )
    return Made(answers, (form,), {saved_model: _SAVED_MODEL_PLACE}, made_with=_versions())


def described(name: str, source: Path, place: str) -> ServedFormat:
    """Return what is known of a form by its files alone; `place` is where they belong in the served folder."""
    files = sorted(file for file in source.rglob("*") if file.is_file()) if source.is_dir() else [source]
    places = {f"{place}/{file.relative_to(source).as_posix()}" if file != source else place: file for file in files}
    return ServedFormat(
        name=name,
        path=place,
        files={path: digest_file(file) for path, file in places.items()},
        size_bytes=sum(file.stat().st_size for file in files),
    )


def _trained_answers(model_folder: Path, rows: Columns) -> Answers:
    tf = import_tensorflow()
    module = serving_module(model_folder)
    count = len(next(iter(rows.values())))
    batches = []
    for start in range(0, count, _BATCH_ROWS):
        batch = {name: tf.constant(values[start : start + _BATCH_ROWS]) for name, values in rows.items()}
        batches.append(next(iter(module.serve(batch).values())).numpy())
    answers: Answers = np.concatenate(batches)
    return answers


def _versions() -> dict[str, str]:
    found = {}
    for name in ("tensorflow", "tensorflow-cpu", "keras"):
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
