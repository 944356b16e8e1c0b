"""From a model's answers to what people read: a label with its probabilities, or a number with its unit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.export.parity import classes_of
from pipeline.records.served_model import ServedModel

Answers = npt.NDArray[np.float32]
NO_ANSWER = "the model has no answer: a value is one that no row may have"


def predictions(served: ServedModel, answers: Answers) -> list[dict[str, Any]]:
    """Return what each row is answered.

    A row that the model has no answer for (NaN) has null for one, and says why.
    """
    if not served.classes:
        return [_number(float(value), served.unit) for value in answers[:, 0]]
    places = classes_of(answers, served.threshold)
    return [_labelled(served, row, int(place)) for row, place in zip(answers.tolist(), places, strict=True)]


def _number(value: float, unit: str) -> dict[str, Any]:
    if not math.isfinite(value):
        return {"value": None, "unit": unit, "why": NO_ANSWER}
    return {"value": value, "unit": unit}


def _labelled(served: ServedModel, row: list[float], place: int) -> dict[str, Any]:
    if place < 0:
        return {"label": None, "confidence": None, "probabilities": None, "why": NO_ANSWER}
    probabilities = dict(zip(served.classes, row, strict=True))
    return {"label": served.classes[place], "confidence": row[place], "probabilities": probabilities}


def identity(served: ServedModel) -> dict[str, Any]:
    """Return which model answered: name, version of the registry, digest."""
    return {"name": served.name, "version": served.version, "digest": served.digest}


def description(served: ServedModel, engine: str) -> dict[str, Any]:
    """Return what a client has to know of a model to ask it."""
    return {
        **identity(served),
        "task": served.task,
        "classes": list(served.classes),
        "unit": served.unit,
        "threshold": served.threshold,
        "inputs": [
            {"name": each.name, "kind": each.kind, "dtype": each.dtype, "shape": list(each.shape)}
            for each in served.inputs
        ],
        "output": served.output,
        "engine": engine,
    }
