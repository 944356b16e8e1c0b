"""A small convolutional network: blocks of convolution and pooling, one dense layer, dropout.

Recipe: `model: {name: cnn, settings: {filters: [32, 64], dense: 64, dropout: 0.3}}`: 220 234 weights on 28 × 28 × 1.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import Field

from pipeline.recipe.model_inputs import (
    Shape,
    input_shapes,
    output_units,
    require_buildable,
    require_no_ids,
    require_one_image,
    the_image,
)
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import Fraction
from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings in the recipe."""

    filters: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        default=(32, 64), strict=False, min_length=1, max_length=8, description="channels of each block"
    )
    kernel: int = Field(default=3, ge=1, le=15, description="side of the convolutions, pixels")
    dense: int = Field(default=64, ge=1, le=65_536, description="units of the dense layer")
    dropout: Fraction = Field(default=0.3, description="share of dense units silenced while training")


def check(settings: Settings, recipe: Recipe) -> None:
    """Raise UsageError unless there is one image to convolve, no ids, and what is built is not absurdly large."""
    shapes = input_shapes(recipe)
    require_one_image("cnn", shapes)
    require_no_ids("cnn", recipe)
    require_buildable(weight_count(settings, shapes, output_units(recipe)))


def weight_count(settings: Settings, shapes: dict[str, Shape], units: int) -> int:
    """Return the number of weights on features of these shapes."""
    image = the_image(shapes)
    height, width, channels = shapes[image]
    weights = 0
    for filters in settings.filters:
        weights += (settings.kernel**2 * channels + 1) * filters
        if min(height, width) >= 2:
            height, width = height // 2, width // 2
        channels = filters
    flat = height * width * channels + sum(math.prod(shape) for name, shape in shapes.items() if name != image)
    return weights + (flat + 1) * settings.dense + (settings.dense + 1) * units


def build(settings: Settings, inputs: dict[str, Any], units: int) -> Any:
    """Return the logits `[batch, units] float32` of the one image, `[batch, height, width, channel] float32`.

    Other features are joined, flat, to what the convolutions make of the image.
    """
    from keras import layers

    image = the_image({name: tuple(values.shape[1:]) for name, values in inputs.items()})
    x = inputs[image]
    for block, filters in enumerate(settings.filters):
        x = layers.Conv2D(filters, settings.kernel, padding="same", activation="relu", name=f"convolution_{block}")(x)
        if min(x.shape[1:3]) >= 2:  # never pool an image down to nothing
            x = layers.MaxPooling2D(name=f"pool_{block}")(x)
    x = layers.Flatten(name="flatten")(x)
    others = [layers.Flatten(name=f"{name}.flat")(values) for name, values in inputs.items() if name != image]
    if others:
        x = layers.Concatenate(name="joined")([x, *others])
    x = layers.Dense(settings.dense, activation="relu", name="dense")(x)
    x = layers.Dropout(settings.dropout, name="dropout")(x)
    return layers.Dense(units, name="logits")(x)
