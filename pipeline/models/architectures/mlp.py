"""A multilayer perceptron: flat pixels through dense layers with dropout. Quick; a baseline for anything better.

Recipe: `model: {name: mlp, settings: {units: [128, 64], dropout: 0.2}}`: 109 386 weights on 28 × 28 × 1.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field

from pipeline.recipe.model_inputs import Shape, input_shapes, output_units, require_buildable
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import Fraction
from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings in the recipe."""

    units: tuple[Annotated[int, Field(ge=1, le=65_536)], ...] = Field(
        default=(128, 64), strict=False, min_length=1, max_length=16, description="units of each dense layer"
    )
    dropout: Fraction = Field(default=0.2, description="share of units silenced after each layer while training")


def check(settings: Settings, recipe: Recipe) -> None:
    """Raise UsageError if what is built of the features would be absurdly large."""
    require_buildable(weight_count(settings, input_shapes(recipe), output_units(recipe)))


def weight_count(settings: Settings, shapes: dict[str, Shape], units: int) -> int:
    """Return the number of weights on features of these shapes."""
    flat = sum(math.prod(shape) for shape in shapes.values())
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise((flat, *settings.units, units)))


def build(settings: Settings, inputs: dict[str, Any], units: int) -> Any:
    """Return the logits `[batch, units] float32` of all features, `[batch, …] float32`, flat and joined."""
    from keras import layers

    flat = [layers.Flatten(name=f"{name}.flat")(values) for name, values in inputs.items()]
    x = layers.Concatenate(name="joined")(flat) if len(flat) > 1 else flat[0]
    for number, width in enumerate(settings.units):
        x = layers.Dense(width, activation="relu", name=f"dense_{number}")(x)
        x = layers.Dropout(settings.dropout, name=f"dropout_{number}")(x)
    return layers.Dense(units, name="logits")(x)
