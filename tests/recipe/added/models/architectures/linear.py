"""One dense layer over everything."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pipeline.recipe.settings import Settings as Base


class Settings(Base):
    """Its settings in the recipe."""

    has_bias: bool = Field(default=True, description="whether a number is added to each answer")


def build(settings: Settings, inputs: dict[str, Any], units: int) -> Any:
    """Return the logits."""
    from keras import layers

    flat = [layers.Flatten(name=f"{name}.flat")(values) for name, values in inputs.items()]
    joined = layers.Concatenate(name="joined")(flat) if len(flat) > 1 else flat[0]
    return layers.Dense(units, use_bias=settings.has_bias, name="logits")(joined)
