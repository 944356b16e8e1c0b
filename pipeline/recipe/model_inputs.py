"""What the `check` of an architecture, or of a step, asks of a recipe: shapes and kinds of the inputs, and the size of
what would be built.

A kind whose prepared values are ids (int32) may have `largest_size(settings)`: how many different ones there can be.
"""

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


def input_kinds(recipe: Recipe) -> dict[str, str]:
    """Return the kind of each feature, by name."""
    return {name: feature.kind for name, feature in recipe.data.features.items()}


def largest_sizes(recipe: Recipe) -> dict[str, int]:
    """Return of each feature of ids how many there can be; 1 where its kind does not say."""
    sizes = {}
    for name, feature in recipe.data.features.items():
        settings = FEATURE.settings(feature, f"data.features.{name}")
        kind = FEATURE.member(feature.kind)
        if kind.spec(name, settings).dtype == "int32":
            sizes[name] = kind.largest_size(settings) if hasattr(kind, "largest_size") else 1
    return sizes


def require_no_ids(architecture: str, recipe: Recipe) -> None:
    """Raise UsageError, without its key, if a feature is one of ids: a category, or a text in form ids."""
    kinds = input_kinds(recipe)
    for name in largest_sizes(recipe):
        raise UsageError(
            f"{architecture} takes no feature of kind {kinds[name]} as ids, as '{name}' is; joined and mlp take any"
        )


def require_text(architecture: str, recipe: Recipe) -> None:
    """Raise UsageError, without its key, unless a feature is a text in form ids, and none an image."""
    shapes = input_shapes(recipe)
    if not any(len(shapes[name]) == 1 for name in largest_sizes(recipe)):
        found = ", ".join(f"{name} ({kind})" for name, kind in input_kinds(recipe).items())
        raise UsageError(f"{architecture} reads texts in form ids, of which data.features has none: {found}; try mlp")
    images = [name for name, shape in shapes.items() if len(shape) == 3]
    if images:
        raise UsageError(f"{architecture} takes no image, and '{images[0]}' is one; joined takes texts and images")


def require_texts_of_ids(step: str, recipe: Recipe) -> None:
    """Raise UsageError, without its key, if a text is in another form than ids."""
    ids = largest_sizes(recipe)
    for name, kind in input_kinds(recipe).items():
        if kind == "text" and name not in ids:
            raise UsageError(
                f"{step} changes the terms of a text in form ids, and data.features.{name} is in form tfidf, which has "
                "no order; take it out of augment.steps, or choose form ids"
            )


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
