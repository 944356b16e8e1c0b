"""A multilayer perceptron: flat values through dense layers with dropout. Quick; a baseline for anything better.

Recipe: `model: {name: mlp, settings: {units: [128, 64], dropout: 0.2}}`: 109 386 weights on 28 × 28 × 1.

A category is a learned vector, a text the mean of its terms' (`models/embedding.py` says how wide they are).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from pipeline.recipe.model_inputs import Shape, input_shapes, largest_sizes, output_units, require_buildable
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import Fraction
from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    from pipeline.models.inputs import Inputs


class Settings(Base):
    """Its settings in the recipe."""

    units: tuple[Annotated[int, Field(ge=1, le=65_536)], ...] = Field(
        default=(128, 64), strict=False, min_length=1, max_length=16, description="units of each dense layer"
    )
    dropout: Fraction = Field(default=0.2, description="share of units silenced after each layer while training")
    embedding: int = Field(
        default=8, ge=1, le=1024, description="numbers of a category's or a term's vector, at most half of the ids"
    )


def check(settings: Settings, recipe: Recipe) -> None:
    """Raise UsageError if what is built of the features would be absurdly large."""
    require_buildable(weight_count(settings, input_shapes(recipe), output_units(recipe), largest_sizes(recipe)))


def weight_count(settings: Settings, shapes: dict[str, Shape], units: int, sizes: dict[str, int] | None = None) -> int:
    """Return the number of weights on features of these shapes; `sizes` are those of ids."""
    from pipeline.models import embedding

    ids, most = sizes or {}, settings.embedding
    flat = sum(embedding.flat_width(name, shape, ids, most) for name, shape in shapes.items())
    dense = sum((inputs + 1) * outputs for inputs, outputs in pairwise((flat, *settings.units, units)))
    return dense + embedding.weight_count(ids, most)


def build(settings: Settings, inputs: Inputs, units: int) -> Any:
    """Return the logits `[batch, units] float32` of all features, flat and joined."""
    from keras import layers

    from pipeline.models.embedding import flat, joined

    x = joined([flat(name, inputs, settings.embedding) for name in inputs])
    for number, width in enumerate(settings.units):
        x = layers.Dense(width, activation="relu", name=f"dense_{number}")(x)
        x = layers.Dropout(settings.dropout, name=f"dropout_{number}")(x)
    return layers.Dense(units, name="logits")(x)
