"""LiteRT (once TensorFlow Lite), for small devices: images in the model's own size, numbers as float32; no texts.

Its operations know neither float64 nor texts, and not the arithmetic by which an image of another size is resized: who
asks it brings images in their size. All that was fitted on the training part is inside.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    from pipeline.export.forms import Asked, Inputs
    from pipeline.records.architecture import Architecture

PLACE = "litert/model.tflite"
PACKAGES = ("ai-edge-litert", "flatbuffers")
CALIBRATES = False


class Settings(Base):
    """What it is held to."""

    tolerance: float | None = Field(default=1e-4, description="largest difference of any number; null: none")
    least_agreement: float = Field(default=0.999, ge=0, le=1, description="least share of rows with the same class")


def refusal(architecture: Architecture) -> str | None:
    """Return why there can be none: LiteRT has no operations that read texts as the model does."""
    from pipeline.export.fixed_inputs import text_feature

    name = text_feature(architecture)
    return f"feature {name}, and LiteRT has no operations that read a text as the model does" if name else None


def inputs(architecture: Architecture) -> Inputs:
    """Return the narrower form of what the model takes raw."""
    from pipeline.export.fixed_inputs import fixed_inputs

    return fixed_inputs(architecture)


def write(model_folder: Path, target: Path, settings: Settings, calibration: Any = None) -> None:  # noqa: ARG001
    """Write the stored model as the file `target`, in float32."""
    from pipeline.export.fixed_inputs import converted

    target.write_bytes(converted(model_folder))


def load(path: Path) -> Asked:
    """Return how a LiteRT model is asked by its interpreter, on one thread."""
    from pipeline.export.fixed_inputs import interpreted

    return interpreted(path)
