"""LiteRT in whole numbers of 8 bits: a quarter of the size. Ranges are learned from training rows.

It is held to its classes, not to its numbers: a probability moves by some hundredths. A target that is a number has no
classes, and a missing number has no place among 256 levels: of such models there is none.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    from pipeline.export.forms import Asked, Inputs
    from pipeline.records.architecture import Architecture

PLACE = "litert_int8/model.tflite"
PACKAGES = ("ai-edge-litert", "flatbuffers")
CALIBRATES = True


class Settings(Base):
    """What it is held to, and how many rows its ranges are learned from."""

    tolerance: float | None = Field(default=None, description="largest difference of any number; null: none")
    least_agreement: float = Field(default=0.99, ge=0, le=1, description="least share of rows with the same class")
    calibration_rows: int = Field(default=1024, ge=1, le=1024, description="training rows for the ranges of numbers")


def refusal(architecture: Architecture) -> str | None:
    """Return why there can be none: a text, a number that may be missing, or no classes."""
    from pipeline.export.fixed_inputs import text_feature
    from pipeline.models.serving import raw_inputs

    if name := text_feature(architecture):
        return f"feature {name}, and LiteRT has no operations that read a text as the model does"
    for name, (_, dtype) in raw_inputs(architecture).items():
        if dtype.startswith("float"):
            return f"feature {name} is a number, and 8 bits have no level for one that is missing or out of range"
    if not architecture.classes:
        return "it answers a number, and 256 levels of one are no answer"
    return None


def inputs(architecture: Architecture) -> Inputs:
    """Return the narrower form of what the model takes raw."""
    from pipeline.export.fixed_inputs import fixed_inputs

    return fixed_inputs(architecture)


def write(model_folder: Path, target: Path, settings: Settings, calibration: Any = None) -> None:
    """Write the stored model as the file `target`; `calibration` are raw training rows by feature."""
    from pipeline.errors import DataError
    from pipeline.export.calibration import spread
    from pipeline.export.fixed_inputs import converted

    if calibration is None:
        raise DataError("there are no training rows to learn the ranges of its numbers from")
    rows = {name: values[spread(len(values), settings.calibration_rows)] for name, values in calibration.items()}
    target.write_bytes(converted(model_folder, rows))


def load(path: Path) -> Asked:
    """Return how a LiteRT model is asked by its interpreter, on one thread."""
    from pipeline.export.fixed_inputs import interpreted

    return interpreted(path)
