"""A small residual network with batch normalization, for images of any size.

Recipe: `model: {name: resnet, settings: {width: 16, blocks: [1, 1, 1]}}`: 78 426 weights on 28 × 28 × 1.

K. He, X. Zhang, S. Ren and J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2, with a
projection (their option B) wherever a block changes the size or the channels. The average over all places makes the
number of weights independent of the image's size.
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
from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings in the recipe."""

    width: int = Field(default=16, ge=1, le=1024, description="channels of the first group of blocks; doubled by each")
    blocks: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(
        default=(1, 1, 1),
        strict=False,
        min_length=1,
        max_length=6,
        description="residual blocks, of two convolutions, in each group; each group halves the sides",
    )
    momentum: float = Field(
        default=0.9,
        ge=0,
        lt=1,
        allow_inf_nan=False,
        description="share of the running mean and variance that stays at each step",
    )


def check(settings: Settings, recipe: Recipe) -> None:
    """Raise UsageError unless there is one image to convolve, no ids, and what is built is not absurdly large."""
    shapes = input_shapes(recipe)
    require_one_image("resnet", shapes)
    require_no_ids("resnet", recipe)
    require_buildable(weight_count(settings, shapes, output_units(recipe)))


def weight_count(settings: Settings, shapes: dict[str, Shape], units: int) -> int:
    """Return the number of weights on features of these shapes, running means and variances included."""
    image = the_image(shapes)
    weights = _convolved(3, shapes[image][-1], settings.width)
    channels = settings.width
    for group, blocks in enumerate(settings.blocks):
        for block in range(blocks):
            width = settings.width * 2**group
            weights += _convolved(3, channels, width) + _convolved(3, width, width)
            if _is_projected(group, block):
                weights += _convolved(1, channels, width)
            channels = width
    flat = channels + sum(math.prod(shape) for name, shape in shapes.items() if name != image)
    return weights + (flat + 1) * units


def build(settings: Settings, inputs: dict[str, Any], units: int) -> Any:
    """Return the logits `[batch, units] float32` of the one image, `[batch, height, width, channel] float32`.

    Other features are joined, flat, to the averages over the image.
    """
    from keras import layers

    def convolved(x: Any, kernel: int, filters: int, strides: int, name: str) -> Any:
        x = layers.Conv2D(
            filters,
            kernel,
            strides,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"{name}_convolution",
        )(x)
        return layers.BatchNormalization(momentum=settings.momentum, name=f"{name}_norm")(x)

    image = the_image({name: tuple(values.shape[1:]) for name, values in inputs.items()})
    x = convolved(inputs[image], 3, settings.width, 1, "stem")
    x = layers.ReLU(name="stem_relu")(x)
    for group, blocks in enumerate(settings.blocks):
        for block in range(blocks):
            name, width = f"block_{group}_{block}", settings.width * 2**group
            is_projected = _is_projected(group, block)
            strides = 2 if is_projected else 1
            residual = convolved(x, 3, width, strides, f"{name}_first")
            residual = layers.ReLU(name=f"{name}_first_relu")(residual)
            residual = convolved(residual, 3, width, 1, f"{name}_second")
            shortcut = convolved(x, 1, width, strides, f"{name}_shortcut") if is_projected else x
            x = layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_sum")([residual, shortcut]))
    x = layers.GlobalAveragePooling2D(name="average")(x)
    others = [layers.Flatten(name=f"{name}.flat")(values) for name, values in inputs.items() if name != image]
    if others:
        x = layers.Concatenate(name="joined")([x, *others])
    return layers.Dense(units, name="logits")(x)


def _is_projected(group: int, block: int) -> bool:
    """Return whether a block halves the sides and doubles the channels: the first of every group but the first."""
    return group > 0 and block == 0


def _convolved(kernel: int, channels: int, filters: int) -> int:
    """Return the weights of a convolution without offsets and of the normalization of what it gives."""
    return kernel**2 * channels * filters + 4 * filters
