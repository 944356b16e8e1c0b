"""A recurrent network for texts: gated units read the terms one after the other, from both ends, then one dense layer.

Recipe: `model: {name: gru, settings: {embedding: 64, units: 64}}`.

K. Cho et al., "Learning Phrase Representations using RNN Encoder–Decoder", EMNLP 2014, section 2.3, with the reset gate
after the product. Padding is passed over: a text is read to its last term, and one without any gives 0. What is no text
is joined to what was read: numbers as they are, categories as learned vectors. Each term waits for the one before: it
takes several times as long as `text_cnn`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

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

_GATES = 3  # reset, update, and the new state


class Settings(Base):
    """Its settings in the recipe."""

    embedding: int = Field(default=64, ge=1, le=1024, description="numbers of a term's vector, at most half of the ids")
    units: int = Field(default=64, ge=1, le=4096, description="gated units, in each direction")
    both: bool = Field(default=True, description="whether a text is also read from its end")
    dropout: Fraction = Field(default=0.3, description="share of what is joined that is silenced while training")


def check(settings: Settings, recipe: Recipe) -> None:
    """Raise UsageError unless there is a text in form ids, no image, and what is built is not absurdly large."""
    require_text("gru", recipe)
    require_buildable(weight_count(settings, input_shapes(recipe), output_units(recipe), largest_sizes(recipe)))


def weight_count(settings: Settings, shapes: dict[str, Shape], units: int, sizes: dict[str, int]) -> int:
    """Return the number of weights on features of these shapes; `sizes` are those of ids."""
    from pipeline.models import embedding

    weights, joined = embedding.weight_count(sizes, settings.embedding), 0
    directions = 2 if settings.both else 1
    for name, shape in shapes.items():
        if name in sizes and shape:
            vector = embedding.width(sizes[name], settings.embedding)
            weights += directions * _GATES * settings.units * (vector + settings.units + 2)
            joined += directions * settings.units
        else:
            joined += embedding.flat_width(name, shape, sizes, settings.embedding)
    return weights + (joined + 1) * units


def build(settings: Settings, inputs: Inputs, units: int) -> Any:
    """Return the logits `[batch, units] float32` of texts `[batch, length] int32` and what there is beside them."""
    from keras import layers

    from pipeline.models.embedding import embedded, flat, is_sequence, is_token, joined

    parts = []
    for name, values in inputs.items():
        if name not in inputs.sizes or not is_sequence(values):
            parts.append(flat(name, inputs, settings.embedding))
            continue
        vectors, there = embedded(name, inputs, settings.embedding), is_token(values)
        # Not by cuDNN, which adds in an order of its own.
        parts.append(layers.GRU(settings.units, use_cudnn=False, name=f"{name}.onwards")(vectors, mask=there))
        if settings.both:
            backwards = layers.GRU(settings.units, use_cudnn=False, go_backwards=True, name=f"{name}.backwards")
            parts.append(backwards(vectors, mask=there))
    x = layers.Dropout(settings.dropout, name="dropout")(joined(parts))
    return layers.Dense(units, name="logits")(x)
