"""A small convolutional network: blocks of convolution and pooling, one dense layer, dropout.

Recipe: `model: {name: cnn, settings: {filters: [32, 64], dense: 64, dropout: 0.3}}`: 220 234 weights on 28 × 28 × 1.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

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


def build(settings: Settings, images: Any, classes: int) -> Any:
    """Return the logits `[batch, class] float32` of normalised images `[batch, height, width, channel] float32`."""
    from keras import layers

    from pipeline.models.layers import position_dropout

    x = images
    for block, filters in enumerate(settings.filters):
        x = layers.Conv2D(filters, settings.kernel, padding="same", activation="relu", name=f"convolution_{block}")(x)
        if min(x.shape[1:3]) >= 2:  # never pool an image down to nothing
            x = layers.MaxPooling2D(name=f"pool_{block}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(settings.dense, activation="relu", name="dense")(x)
    x = position_dropout(settings.dropout, name="dropout")(x)
    return layers.Dense(classes, name="logits")(x)
