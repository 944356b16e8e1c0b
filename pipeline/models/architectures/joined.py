"""One model for features of any kinds: a branch for each, by its shape, joined, then dense layers with dropout.

Recipe: `model: {name: joined, settings: {filters: [16, 32], dense: [64], dropout: 0.3}}`.

    image [height, width, channel]    blocks of convolution and pooling, then the average over all places
    text, ids [length]                phrases of several widths, each at its strongest place (see text_cnn)
    category, id []                   a learned vector
    anything else                     as it is, flat
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator

from pipeline.recipe.model_inputs import Shape, input_shapes, largest_sizes, output_units, require_buildable
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.settings import Fraction
from pipeline.recipe.settings import Settings as Base

if TYPE_CHECKING:
    from pipeline.models.inputs import Inputs

_KERNEL = 3  # side of an image's convolutions, pixels


class Settings(Base):
    """Its settings in the recipe."""

    filters: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        default=(16, 32, 64), strict=False, min_length=1, max_length=8, description="channels of each block of an image"
    )
    embedding: int = Field(
        default=32, ge=1, le=1024, description="numbers of a category's or a term's vector, at most half of the ids"
    )
    phrases: int = Field(default=64, ge=1, le=4096, description="phrases that are looked for in a text, of each width")
    widths: tuple[Annotated[int, Field(ge=1, le=31)], ...] = Field(
        default=(3, 4, 5), strict=False, min_length=1, max_length=8, description="terms of a phrase"
    )
    dense: tuple[Annotated[int, Field(ge=1, le=65_536)], ...] = Field(
        default=(64,), strict=False, max_length=16, description="units of each dense layer; [] for none"
    )
    dropout: Fraction = Field(
        default=0.3, description="share silenced while training, of what is joined and after each dense layer"
    )

    @field_validator("widths")
    @classmethod
    def _differ(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(widths)) < len(widths):
            raise ValueError("each width once")
        return widths


def check(settings: Settings, recipe: Recipe) -> None:
    """Raise UsageError if what is built of the features would be absurdly large."""
    require_buildable(weight_count(settings, input_shapes(recipe), output_units(recipe), largest_sizes(recipe)))


def weight_count(settings: Settings, shapes: dict[str, Shape], units: int, sizes: dict[str, int] | None = None) -> int:
    """Return the number of weights on features of these shapes; `sizes` are those of ids."""
    from pipeline.models import embedding, phrases

    ids, most = sizes or {}, settings.embedding
    weights, width = embedding.weight_count(ids, most), 0
    for name, shape in shapes.items():
        if len(shape) == 3:
            channels = pairwise((shape[-1], *settings.filters))
            weights += sum((_KERNEL**2 * before + 1) * after for before, after in channels)
            width += settings.filters[-1]
        elif name in ids and shape:
            vector = embedding.width(ids[name], most)
            weights += phrases.weight_count(vector, settings.phrases, settings.widths)
            width += len(settings.widths) * settings.phrases
        else:
            width += embedding.flat_width(name, shape, ids, most)
    return weights + sum((before + 1) * after for before, after in pairwise((width, *settings.dense, units)))


def build(settings: Settings, inputs: Inputs, units: int) -> Any:
    """Return the logits `[batch, units] float32` of all features, each through its branch."""
    from keras import layers

    from pipeline.models.embedding import embedded, flat, is_sequence, joined
    from pipeline.models.phrases import phrases

    parts = []
    for name, values in inputs.items():
        if len(values.shape) == 4:
            parts.append(_seen(name, values, settings.filters))
        elif name in inputs.sizes and is_sequence(values):
            vectors = embedded(name, inputs, settings.embedding)
            parts.append(phrases(name, vectors, settings.phrases, settings.widths))
        else:
            parts.append(flat(name, inputs, settings.embedding))
    x = layers.Dropout(settings.dropout, name="dropout")(joined(parts))
    for number, width in enumerate(settings.dense):
        x = layers.Dense(width, activation="relu", name=f"dense_{number}")(x)
        x = layers.Dropout(settings.dropout, name=f"dropout_{number}")(x)
    return layers.Dense(units, name="logits")(x)


def _seen(name: str, image: Any, filters: tuple[int, ...]) -> Any:
    """Return `[batch, channel] float32` of an image `[batch, height, width, channel]`."""
    from keras import layers

    x = image
    for block, channels in enumerate(filters):
        convolution = layers.Conv2D(
            channels, _KERNEL, padding="same", activation="relu", name=f"{name}.convolution_{block}"
        )
        x = convolution(x)
        if min(x.shape[1:3]) >= 2:  # never pool an image down to nothing
            x = layers.MaxPooling2D(name=f"{name}.pool_{block}")(x)
    return layers.GlobalAveragePooling2D(name=f"{name}.average")(x)
