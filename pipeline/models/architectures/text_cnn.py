"""A convolutional network for texts: phrases of several widths, each at its strongest place, dropout, one dense layer.

Recipe: `model: {name: text_cnn, settings: {embedding: 64, filters: 64, widths: [3, 4, 5]}}`.

Y. Kim, "Convolutional Neural Networks for Sentence Classification", EMNLP 2014, with vectors that are learned from the
start (his CNN-rand). What is no text is joined to the phrases: numbers as they are, categories as learned vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator

from pipeline.recipe.model_inputs import (
    Shape,
    input_shapes,
    largest_sizes,
    output_units,
    require_buildable,
    require_text,
)
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import Fraction
from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    from pipeline.models.inputs import Inputs


class Settings(Base):
    """Its settings in the recipe."""

    embedding: int = Field(default=64, ge=1, le=1024, description="numbers of a term's vector, at most half of the ids")
    filters: int = Field(default=64, ge=1, le=4096, description="phrases that are looked for, of each width")
    widths: tuple[Annotated[int, Field(ge=1, le=31)], ...] = Field(
        default=(3, 4, 5), strict=False, min_length=1, max_length=8, description="terms of a phrase"
    )
    dropout: Fraction = Field(default=0.5, description="share of what is joined that is silenced while training")

    @field_validator("widths")
    @classmethod
    def _differ(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(widths)) < len(widths):
            raise ValueError("each width once")
        return widths


def check(settings: Settings, recipe: Recipe) -> None:
    """Raise UsageError unless there is a text in form ids, no image, and what is built is not absurdly large."""
    require_text("text_cnn", recipe)
    require_buildable(weight_count(settings, input_shapes(recipe), output_units(recipe), largest_sizes(recipe)))


def weight_count(settings: Settings, shapes: dict[str, Shape], units: int, sizes: dict[str, int]) -> int:
    """Return the number of weights on features of these shapes; `sizes` are those of ids."""
    from pipeline.models import embedding, phrases

    weights, joined = embedding.weight_count(sizes, settings.embedding), 0
    for name, shape in shapes.items():
        if name in sizes and shape:
            vector = embedding.width(sizes[name], settings.embedding)
            weights += phrases.weight_count(vector, settings.filters, settings.widths)
            joined += len(settings.widths) * settings.filters
        else:
            joined += embedding.flat_width(name, shape, sizes, settings.embedding)
    return weights + (joined + 1) * units


def build(settings: Settings, inputs: Inputs, units: int) -> Any:
    """Return the logits `[batch, units] float32` of texts `[batch, length] int32` and what there is beside them."""
    from keras import layers

    from pipeline.models.embedding import embedded, flat, is_sequence, joined
    from pipeline.models.phrases import phrases

    parts = []
    for name, values in inputs.items():
        if name in inputs.sizes and is_sequence(values):
            vectors = embedded(name, inputs, settings.embedding)
            parts.append(phrases(name, vectors, settings.filters, settings.widths))
        else:
            parts.append(flat(name, inputs, settings.embedding))
    x = layers.Dropout(settings.dropout, name="dropout")(joined(parts))
    return layers.Dense(units, name="logits")(x)
