"""Versions of a small model of four kinds of features, exported: a picture, a number, a category, a text."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.export.served import write_served
from pipeline.models import stored
from pipeline.models.build import build
from pipeline.records.served_model import ServedModel
from tests.models.made import TEXTS, architecture, column, image, text

ROWS = 8
WORDS = ["AA", "UA", None, "AA", "B6", "UA", "AA", "B6"]
NUMBERS = ["1.5", "2", "", "-3", "1e3", "7", "8", "0"]


def write_zoo(folder: Path, scratch: Path, *, version: int) -> ServedModel:
    """Export the model with weights of its own as a served folder; the golden rows are those of every version."""
    made = architecture(
        image(),
        column("number", "distance", NUMBERS, missing="median"),
        column("category", "carrier", WORDS, missing="unknown"),
        text(),
        name="joined",
        settings={},
        classes=("cat", "dog", "hen"),
    )
    stored.save(scratch / f"stored-{version}", made, build(made))
    golden = {
        "image": np.random.default_rng(1).integers(0, 256, (ROWS, 8, 8, 1)).astype(np.uint8),
        "distance": np.asarray([float(each or "nan") for each in NUMBERS]),
        "carrier": np.asarray([each or "" for each in WORDS], np.object_),
        "body": np.asarray([*TEXTS, "", "unknown"], np.object_),
    }
    return write_served(
        scratch / f"stored-{version}",
        scratch / "exports",
        folder,
        golden,
        name="zoo",
        version=version,
        formats=["saved_model"],
    )
