"""What an architecture's `check` asks of a recipe: the shapes of the inputs, and the size of what it would build."""

from __future__ import annotations

import importlib

from pipeline.errors import UsageError
from pipeline.recipe.recipe import FEATURE, Recipe

Shape = tuple[int, ...]
_WEIGHT_LIMIT = 2**31


def input_shapes(recipe: Recipe) -> dict[str, Shape]:
    """Return the shape of a prepared value of each feature, by name."""
    shapes = {}
    for name, feature in recipe.data.features.items():
        settings = FEATURE.settings(feature, f"data.features.{name}")
        shapes[name] = FEATURE.member(feature.kind).shape(settings)
    return shapes


def require_one_image(architecture: str, shapes: dict[str, Shape]) -> None:
    """Raise UsageError, without its key, unless exactly one feature is an image."""
    images = [name for name, shape in shapes.items() if len(shape) == 3]
    if len(images) != 1:
        found = f"there are {len(images)}: {', '.join(images)}" if images else f"there is none in {', '.join(shapes)}"
        raise UsageError(f"{architecture} convolves exactly one image, but of data.features {found}; mlp takes any")


def the_image(shapes: dict[str, Shape]) -> str:
    """Return the name of the one feature that is an image: `[height, width, channel]`."""
    [image] = [name for name, shape in shapes.items() if len(shape) == 3]
    return image


def output_units(recipe: Recipe) -> int:
    """Return how many numbers the last layer has to give for a row."""
    task = importlib.import_module(f"pipeline.models.outputs.{recipe.task.name}")
    units: int = task.units(len(recipe.data.classes))
    return units


def require_buildable(weights: int) -> None:
    """Raise UsageError, without its key, if an architecture would have an absurd number of weights."""
    if weights > _WEIGHT_LIMIT:
        raise UsageError(
            f"would have {weights:,} weights, above {_WEIGHT_LIMIT:,}; make its layers or the features smaller"
        )
